"""What the contract suites share: servers on loopback, sources that are closed in the end."""

from collections.abc import Callable, Iterator

import pytest

from everreel.protocols.guard import Guard
from everreel.protocols.open import SourceOptions, open_source
from everreel.protocols.ports import Source
from tests.contract.source_server import Peer, Serve


@pytest.fixture
def peer() -> Iterator[Callable[[Serve], Peer]]:
    peers: list[Peer] = []

    def start(serve: Serve) -> Peer:
        peers.append(Peer(serve))
        return peers[-1]

    yield start
    for one in peers:
        one.stop()


@pytest.fixture
def opened() -> Iterator[Callable[..., Source]]:
    sources: list[Source] = []

    def start(url: str, **options) -> Source:
        clock = options.pop("clock", None)
        cancel = options.pop("cancel", None)
        guard = options.pop("guard", Guard(allow_private=True))
        source = open_source(
            url, guard, cancel=cancel, clock=clock, options=SourceOptions(**options)
        )
        sources.append(source)
        return source

    yield start
    for source in sources:
        source.close()
