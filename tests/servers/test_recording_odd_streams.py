"""Streams that bend time, tracks and headers: recorded whole, and the truth told about the bend."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from everreel.media.segment import Cause
from everreel.state.recording import Reason
from tests.lab import clips, publish_flv, validate
from tests.lab.compare import compare
from tests.lab.digests import of_medium
from tests.lab.publish_flv import AUDIO, VIDEO, HttpFlv, Script, Timed
from tests.servers.harness import Lap

MAIN = publish_flv.from_clip(clips.MAIN, 10_000)
SMALL = publish_flv.from_clip(clips.OTHER_SIZE, 5_000)
PAUSE_MS = 2_600


@dataclass(frozen=True, slots=True)
class Odd:
    """A script and what is to come of it.

    Attributes:
        script: what is sent.
        breaks: how often the playlist says that the timeline breaks.
        cause: of the one declared gap, None for no gap.
        gap_ms: its length.
        length_ms: of the recording, gaps included; the script's own length unless given.
        inits: init segments.
        skipped_pictures: at the start, before decoding can begin.
        early_sound: units that come back before the first keyframe does, and start nothing.
        segment_s: target length; a silence as long as this closes the open segment.
    """

    script: Script
    breaks: int = 0
    cause: Cause | None = None
    gap_ms: int = 0
    length_ms: int = 10_000
    inits: int = 1
    skipped_pictures: int = 0
    early_sound: int = 0
    segment_s: int = 2


def paused(script: Script, at_ms: int, for_ms: int, *, hidden: bool = False) -> Script:
    """Nothing is made for a while, inside a group of pictures, and nothing is lost."""
    return [
        item
        if item.due_ms < at_ms
        else Timed(item.due_ms + for_ms, item.tag)
        if hidden
        else publish_flv.shifted([item], for_ms)[0]
        for item in script
    ]


ODD = {
    "a plain stream": Odd(MAIN),
    "audio that begins late": Odd(publish_flv.late_track(MAIN, AUDIO, 4_000), inits=2, breaks=1),
    "video that begins late": Odd(publish_flv.late_track(MAIN, VIDEO, 4_000), inits=2, breaks=1),
    "headers after the first keyframe": Odd(
        publish_flv.headers_after_first_keyframe(MAIN), skipped_pictures=50, length_ms=8_000
    ),
    "a clock that wraps": Odd(publish_flv.wrap32(MAIN, 4_000)),
    "a jump ahead by an hour": Odd(publish_flv.jump(MAIN, 4_000, 3_600_000), breaks=1),
    "a jump back": Odd(
        publish_flv.jump(publish_flv.shifted(MAIN, 90_000), 94_000, -60_000), breaks=1
    ),
    "an encoder that starts again at 0": Odd(
        publish_flv.jump(publish_flv.shifted(MAIN, 90_000), 94_000, -200_000), breaks=1
    ),
    "an outage that shows in the timestamps": Odd(
        publish_flv.outage(MAIN, 4_000, 8_000),
        breaks=1,
        cause=Cause.LOSS,
        gap_ms=4_000,
        early_sound=3,
    ),
    "an outage that the server hides": Odd(
        publish_flv.outage(MAIN, 4_000, 8_000, compressed=True),
        breaks=1,
        cause=Cause.OUTAGE,
        gap_ms=4_000,
        early_sound=3,
    ),
    "a pause of the encoder": Odd(
        paused(MAIN, 4_700, PAUSE_MS),
        cause=Cause.LOSS,
        gap_ms=PAUSE_MS,
        length_ms=12_600,
        segment_s=6,
    ),
    "a pause that the server hides": Odd(
        paused(MAIN, 4_700, PAUSE_MS, hidden=True),
        cause=Cause.OUTAGE,
        gap_ms=PAUSE_MS,
        length_ms=12_600,
        segment_s=6,
    ),
    "another picture size": Odd(
        publish_flv.then(publish_flv.from_clip(clips.MAIN, 5_000), SMALL), breaks=1, inits=2
    ),
    "the other size and back": Odd(
        publish_flv.then(
            publish_flv.then(publish_flv.from_clip(clips.MAIN, 4_000), SMALL),
            publish_flv.from_clip(clips.BASELINE, 4_000),
        ),
        breaks=2,
        inits=3,
        length_ms=13_000,
    ),
    "empty tags": Odd(publish_flv.empty_tags(MAIN)),
    "equal timestamps": Odd(publish_flv.same_dts(MAIN)),
    "pictures with flipped bytes": Odd(publish_flv.corrupt_payloads(MAIN)),
}


def early(script: Script) -> Script:
    """The same script, sent at once up to its first tag."""
    first = script[0].due_ms
    return [Timed(item.due_ms - first, item.tag) for item in script]


@pytest.fixture(scope="module")
def laps() -> Iterator[dict[str, Lap]]:
    """Record them all at once: each stream is sent in real time and then goes silent."""
    root = Path(tempfile.mkdtemp(prefix="lab-odd-"))
    with ExitStack() as stack:
        made: dict[str, Lap] = {}
        for number, (name, odd) in enumerate(ODD.items()):
            server = stack.enter_context(HttpFlv(early(odd.script), hold=True))
            made[name] = Lap(
                server.url, root / str(number), idle_s=5, segment_s=odd.segment_s
            ).start()
        for lap in made.values():
            lap.wait(60)
        yield made
    shutil.rmtree(root)


@pytest.fixture(params=ODD)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_stream_when_it_is_odd_then_every_unit_is_recorded_once_and_in_order(
    name: str, laps: dict[str, Lap]
):
    odd, lap = ODD[name], laps[name]
    published = publish_flv.units(odd.script)
    verdict = compare(published, lap.units)

    assert lap.outcome.reason is Reason.IDLE
    sound = verdict.runs["audio"]
    assert verdict.runs["video"].exact, verdict
    assert len(sound.lost) <= odd.early_sound, verdict
    assert (*sound.doubled, *sound.reordered, *sound.foreign) == (), verdict
    assert set(verdict.runs) == {"video", "audio"}
    pictures = of_medium(published, "video")
    assert verdict.first["video"] == odd.skipped_pictures
    assert verdict.last["video"] == len(pictures) - 1
    assert verdict.last["audio"] == len(of_medium(published, "audio")) - 1


def test_stream_when_it_is_odd_then_breaks_and_gaps_are_told(name: str, laps: dict[str, Lap]):
    odd, lap = ODD[name], laps[name]
    holes = lap.holes

    assert sum(row.discontinuity for row in lap.rows) == odd.breaks
    assert len(lap.recordings.inits(lap.sid)) == odd.inits
    if odd.cause is None:
        assert not holes
    else:
        assert [hole.gap.cause for hole in holes] == [odd.cause]
        assert holes[0].gap.duration_us == pytest.approx(odd.gap_ms * 1000, abs=300_000)
    lap.check_index()


def test_stream_when_it_is_odd_then_the_recording_is_as_long_as_it_took(
    name: str, laps: dict[str, Lap]
):
    rows = laps[name].rows
    length_us = rows[-1].start_us + rows[-1].duration_us

    assert length_us == pytest.approx(ODD[name].length_ms * 1000, abs=300_000)


def test_stream_when_it_is_odd_then_every_segment_decodes(name: str, laps: dict[str, Lap]):
    if name == "pictures with flipped bytes":
        return  # a decoder must complain; that they are all there was tested above
    for decoded in validate.decode_playlist(laps[name].playlist):
        assert not decoded.errors, decoded.messages[:3]
