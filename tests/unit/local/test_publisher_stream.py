import io

import av
import numpy as np
import pytest

from everreel.media.access_unit import AccessUnit, Codec, TrackFormat
from everreel.protocols.flv import HttpFlv
from infra.local.publisher_flv import HEADER
from infra.local.publisher_picture import flash_is_on
from infra.local.publisher_stream import (
    FPS,
    GOP_SECONDS,
    SAMPLE_RATE,
    DemoStream,
    short_digest,
)

SECONDS = 3
BEGIN_US = 1_767_268_800_480_000


@pytest.fixture(scope="module")
def stream():
    return DemoStream(BEGIN_US + 17_000)


@pytest.fixture(scope="module")
def flv(stream):
    bodies = [HEADER, *(tag.body for tag in stream.heads)]
    for _ in range(SECONDS * FPS):
        bodies += [tag.body for tag in stream.next_frame()]
    return b"".join(bodies)


def test_stream_begins_on_a_whole_frame_of_its_second(stream):
    assert stream.origin_utc_us == BEGIN_US


def test_recorder_reads_every_unit_as_it_was_digested(stream, flv):
    events = HttpFlv().receive(flv)

    formats = [event for event in events if isinstance(event, TrackFormat)]
    units = [event for event in events if isinstance(event, AccessUnit)]
    assert {each.codec for each in formats} == {Codec.H264, Codec.AAC}
    seen = [(each.medium.value, each.pts, each.keyframe, short_digest(each.data)) for each in units]
    sent = [(each.medium, each.pts_ms, each.keyframe, each.sha) for each in stream.units]
    assert seen == sent


def test_units_come_in_order_of_time_with_a_keyframe_every_gop(stream, flv):
    times = [unit.pts_ms for unit in stream.units]
    pictures = [unit for unit in stream.units if unit.medium == "video"]

    assert times == sorted(times)
    assert len(pictures) == SECONDS * FPS
    keyframes = [at for at, unit in enumerate(pictures) if unit.keyframe]
    assert keyframes == list(range(0, SECONDS * FPS, GOP_SECONDS * FPS))


def test_no_two_units_are_equal(stream, flv):
    digests = [unit.sha for unit in stream.units]

    assert len(set(digests)) == len(digests)


def test_sound_covers_the_pictures(stream, flv):
    heard_ms = max(unit.pts_ms for unit in stream.units if unit.medium == "audio")
    shown_ms = max(unit.pts_ms for unit in stream.units if unit.medium == "video")

    assert shown_ms - heard_ms < 40


def test_flash_and_beep_begin_together_when_another_demuxer_plays_it(flv):
    flashes, beeps, was_on, quiet = [], [], True, 0
    with av.open(io.BytesIO(flv), format="flv") as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                plane = frame.planes[0]
                luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                now_on = flash_is_on(luma[: frame.height, : frame.width])
                if now_on and not was_on:
                    flashes.append(frame.time)
                was_on = now_on
            else:
                loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2)
                if loud.size and quiet > SAMPLE_RATE // 4:
                    beeps.append(frame.time + loud[0] / SAMPLE_RATE)
                quiet = 0 if loud.size else quiet + frame.samples

    assert len(flashes) == SECONDS
    assert flashes == pytest.approx([0.52, 1.52, 2.52], abs=0.001)
    assert beeps == pytest.approx(flashes, abs=0.002)
