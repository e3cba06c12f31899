"""The vendors' services that a deployment can ask, by the names that callers use."""

from collections.abc import Callable, Mapping

from everreel.clock import Clock
from everreel.state.recording import ProviderName
from everreel.supervisor.elsewhere import Service
from everreel.vendors.agora import AgoraApi, CloudRecording, CloudTranscoder
from everreel.vendors.agora_keys import AgoraKeys

KINDS: Mapping[ProviderName, type[CloudRecording | CloudTranscoder]] = {
    ProviderName.AGORA: CloudRecording,
    ProviderName.AGORA_TRANSCODER: CloudTranscoder,
}


def make_services(read: Callable[[], str], clock: Clock) -> Mapping[ProviderName, Service]:
    """Make all of them; `read` returns the text of Agora's secret when the first is asked."""
    keys = AgoraKeys(read, clock)
    return {
        name: Service(kind(AgoraApi(keys, practices=kind.practices, clock=clock)), kind.practices)
        for name, kind in KINDS.items()
    }
