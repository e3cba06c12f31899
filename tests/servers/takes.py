"""Every kind of live stream, recorded once per test process, side by side: 20 s each.

Those of the RTSP server are recorded by themselves: on a busy machine it sends the tracks seconds
apart, and what it then tells of their clocks is wrong.

Servers and publishers are gone when a test sees a take; what was published is known from the clip,
what was recorded lies in the store.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from everreel.media.index import Container
from everreel.recorder.orders import Outcome
from everreel.state.recording import Subscribe
from tests.lab import clips
from tests.lab.clips import Clip
from tests.lab.compare import Comparison, compare
from tests.lab.digests import UnitDigest, published_units
from tests.lab.http_live import TsOverHttp
from tests.lab.publisher import Media, Publisher
from tests.lab.servers import GstRtsp, LiveHls, NginxRtmp, NodeMediaServer
from tests.servers.harness import Lap

RECORD_S = 21.0  # RTSP sessions may wait 13 s for reports that agree
LATER_S = 5.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How one take is made.

    Attributes:
        name: of the take.
        source: name of the stream, see `_Stage`.
        join_s: how much later than the next keyframe the first recorded one may be.
        latency_s: how old the last recorded unit may be when the stop is asked for.
        later: joins when the stream has been played for a while.
    """

    name: str
    source: str
    join_s: float = 0.5
    latency_s: float = 1.0
    later: bool = False
    container: Container = Container.FMP4
    subscribe: Subscribe = Subscribe.BOTH

    @property
    def rtsp(self) -> bool:
        """Whether the RTSP server has the stream."""
        return self.source.startswith("rtsp")


# GStreamer describes a stream to its first player only after a keyframe and a preroll.
_COLD_S = 8.5
# A live playlist is complete segments, and we begin three of them from its end.
_HLS_S = 7.0

KINDS = (
    Kind("rtmp nginx", "nginx"),
    Kind("rtmp nms", "nms"),
    Kind("http-flv nms", "nms flv"),
    Kind("rtmp nms h265", "nms h265"),
    Kind("http-flv nms h265", "nms flv h265"),
    Kind("http-flv no b-frames", "nms flv baseline"),
    Kind("http-flv 44.1 kHz", "nms flv 44100"),
    Kind("http-flv long gop", "nms flv long gop"),
    Kind("rtsp", "rtsp h264-aac", join_s=_COLD_S),
    Kind("rtsp joined later", "rtsp h264-aac", later=True),
    Kind("rtsp h265", "rtsp h265-aac", join_s=_COLD_S),
    Kind("rtsp opus", "rtsp h264-opus", join_s=_COLD_S),
    Kind("http ts", "ts"),
    Kind("hls ts nginx", "nginx hls", latency_s=_HLS_S),
    Kind("hls fmp4", "hls fmp4", latency_s=_HLS_S),
    Kind("rtmp audio only", "nginx audio"),
    Kind("rtmp video only", "nginx video"),
    Kind("rtsp video only", "rtsp h264", join_s=_COLD_S),
    Kind("mpegts of rtmp", "nginx", container=Container.MPEGTS),
    Kind("mpegts of rtsp opus", "rtsp h264-opus", container=Container.MPEGTS, join_s=_COLD_S),
    Kind("mpegts of h265", "nms flv h265", container=Container.MPEGTS),
    Kind("subscribe audio", "nms", subscribe=Subscribe.AUDIO),
    Kind("subscribe video", "nms flv", subscribe=Subscribe.VIDEO),
)
NAMES = tuple(kind.name for kind in KINDS)


class Take:
    """One recording and what was published.

    Attributes:
        joined_us, stopped_us: when the lap began and was stopped, on the publisher's media clock.
    """

    def __init__(self, kind: Kind, lap: Lap, clip: Clip, began_utc_us: int) -> None:
        assert lap.outcome is not None
        self.kind = kind
        self.lap = lap
        self.clip = clip
        self.outcome: Outcome = lap.outcome
        self.joined_us = lap.began_utc_us - began_utc_us
        self.stopped_us = lap.stopped_utc_us - began_utc_us

    @property
    def published(self) -> list[UnitDigest]:
        """One round of the clip, in sending order."""
        return published_units(self.clip.path)

    @property
    def round_us(self) -> int:
        """Length of a round."""
        return self.clip.seconds * 1_000_000

    def compared(self) -> Comparison:
        """Place the recording in what was published."""
        published = self.published
        return compare(published, self.lap.whole_units(published), looped_every_us=self.round_us)


class _Stage:
    """Servers and publishers of the RTSP takes, or of all others."""

    def __init__(self, stack: ExitStack, *, rtsp: bool) -> None:
        self._stack = stack
        self.sources: dict[str, tuple[str, Publisher]] = {}
        if rtsp:
            self._serve_rtsp()
        else:
            self._serve_others()

    def _serve_rtsp(self) -> None:
        rtsp = self._stack.enter_context(GstRtsp())
        for mount, clip in (
            ("h264-aac", clips.MAIN),
            ("h265-aac", clips.H265),
            ("h264-opus", clips.OPUS),
            ("h264", clips.VIDEO_ONLY),
        ):
            self._add(f"rtsp {mount}", clip, rtsp.ingest_url(mount), rtsp.rtsp_url(mount))

    def _serve_others(self) -> None:
        nginx = self._stack.enter_context(NginxRtmp())
        nms = self._stack.enter_context(NodeMediaServer())
        ts = self._stack.enter_context(TsOverHttp())
        hls = self._stack.enter_context(LiveHls("fmp4"))
        both = self._publish(clips.MAIN, nms.rtmp_url())
        self.sources["nms"] = nms.rtmp_url(), both
        self.sources["nms flv"] = nms.flv_url(), both
        for name, clip in (
            ("h265", clips.H265),
            ("baseline", clips.BASELINE),
            ("44100", clips.AUDIO_44100),
            ("long gop", clips.LONG_GOP),
        ):
            stream = name.replace(" ", "")
            publisher = self._publish(clip, nms.rtmp_url(stream))
            self.sources[f"nms {name}"] = nms.rtmp_url(stream), publisher
            self.sources[f"nms flv {name}"] = nms.flv_url(stream), publisher
        self._add("nginx", clips.MAIN, nginx.rtmp_url(), nginx.rtmp_url())
        for media in ("audio", "video"):
            url = nginx.rtmp_url(media)
            clip = clips.AUDIO_ONLY if media == "audio" else clips.VIDEO_ONLY
            self._add(f"nginx {media}", clip, url, url)
        self._add("nginx hls", clips.MAIN, nginx.rtmp_url(app="hls"), nginx.hls_url())
        self._add("ts", clips.MAIN, ts.target, ts.url)
        self._add("hls fmp4", clips.MAIN, hls.target, hls.url, hls.options)
        hls.wait_live(2)

    def _publish(
        self, clip: Clip, target: str, options: dict[str, str] | None = None, media: Media = "both"
    ) -> Publisher:
        return self._stack.enter_context(Publisher(clip, target, options=options, media=media))

    def _add(
        self, name: str, clip: Clip, target: str, url: str, options: dict[str, str] | None = None
    ) -> None:
        self.sources[name] = url, self._publish(clip, target, options)


@cache
def recorded() -> dict[str, Take]:
    """Record everything; the second call finds it there."""
    root = Path(tempfile.mkdtemp(prefix="lab-takes-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    takes: dict[str, Take] = {}
    for rtsp in (True, False):
        takes |= _record([kind for kind in KINDS if kind.rtsp is rtsp], root, rtsp=rtsp)
    return takes


def _record(kinds: Sequence[Kind], root: Path, *, rtsp: bool) -> dict[str, Take]:
    with ExitStack() as stack:
        stage = _Stage(stack, rtsp=rtsp)
        laps: dict[str, Lap] = {}
        for later in (False, True):
            if later:
                time.sleep(LATER_S)
            for kind in kinds:
                if kind.later is later:
                    url, _publisher = stage.sources[kind.source]
                    laps[kind.name] = stack.enter_context(
                        Lap(
                            url,
                            root / kind.name.replace(" ", "-"),
                            container=kind.container,
                            subscribe=kind.subscribe,
                        )
                    )
        time.sleep(RECORD_S - LATER_S)
        takes: dict[str, Take] = {}
        for kind in kinds:
            lap = laps[kind.name]
            lap.stop()
            publisher = stage.sources[kind.source][1]
            takes[kind.name] = Take(kind, lap, publisher.clip, publisher.first_unit_utc_us)
        return takes
