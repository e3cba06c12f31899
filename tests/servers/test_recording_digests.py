"""What real servers were sent is what the segments hold: each access unit, once, in order."""

from collections.abc import Iterator

import pytest

from everreel.media.index import Container
from everreel.state.recording import Reason, Subscribe
from everreel.state.status import Status
from tests.lab import validate
from tests.lab.digests import Medium, UnitDigest, digest, of_medium, units_in_playlist
from tests.servers import takes
from tests.servers.takes import Take


@pytest.fixture(params=takes.NAMES)
def take(request: pytest.FixtureRequest) -> Take:
    return takes.recorded()[request.param]


def media_of(take: Take) -> Iterator[Medium]:
    if take.clip.video and take.kind.subscribe is not Subscribe.AUDIO:
        yield "video"
    if take.clip.audio and take.kind.subscribe is not Subscribe.VIDEO:
        yield "audio"


def at(units: list[UnitDigest], position: int, round_us: int) -> int:
    """Media time at which a unit was published."""
    rounds, within = divmod(position, len(units))
    return units[within].pts_us + rounds * round_us


def test_take_when_stopped_then_every_unit_from_the_first_keyframe_on_is_there_once(take: Take):
    verdict = take.compared()

    assert take.outcome.reason is Reason.STOPPED
    assert take.outcome.failure is None
    assert verdict.exact, verdict
    assert set(verdict.runs) == set(media_of(take))


def test_take_when_joined_then_it_begins_with_the_next_keyframe(take: Take):
    verdict = take.compared()
    lead = next(media_of(take))
    units = of_medium(take.published, lead)
    first = at(units, verdict.first[lead], take.round_us)
    next_keyframe_us = take.joined_us + take.clip.gop_s * 1_000_000

    assert units[verdict.first[lead] % len(units)].keyframe
    assert first <= next_keyframe_us + take.kind.join_s * 1_000_000
    if lead == "video" and "audio" in verdict.first:
        audio = of_medium(take.published, "audio")
        joined = verdict.first["audio"]
        # A server under load may send the tracks apart: what it sent before we came is not ours.
        if at(audio, joined - 1, take.round_us) >= first + 1000:
            came = digest("audio", 0, True, take.lap.first["audio"])
            assert audio[joined % len(audio)].sha == came.sha
        assert at(audio, joined, take.round_us) >= first - 1000


def test_take_when_stopped_then_it_reaches_to_the_moment_of_the_stop(take: Take):
    verdict = take.compared()

    for medium, run in verdict.runs.items():
        last = at(of_medium(take.published, medium), run.last, take.round_us)
        assert last >= take.stopped_us - take.kind.latency_s * 1_000_000, medium


def test_take_when_compared_then_times_are_those_of_the_source(take: Take):
    verdict = take.compared()
    # FLV and RTMP carry whole milliseconds, RTP and MPEG-TS 90 kHz.
    bound_us = 1_050 if take.kind.source.startswith(("nginx", "nms")) else 60

    offsets = [o for run in verdict.runs.values() for o in (run.offset_min_us, run.offset_max_us)]
    assert max(offsets) - min(offsets) <= bound_us, verdict


def test_take_when_finished_then_index_objects_and_media_agree(take: Take):
    take.lap.check_index()
    rows = take.lap.rows
    inits = take.lap.recordings.inits(take.lap.sid)
    folder = f"room/{take.lap.sid}/"
    wanted = {row.key for row in rows} | {key for init in inits for key in init.keys.values()}
    wanted |= {"index.m3u8", "live.m3u8", "sealed.m3u8"}

    assert not take.lap.holes
    assert not any(row.discontinuity for row in rows)
    assert all(row.independent for row in rows)
    assert len(inits) == (0 if take.kind.container is Container.MPEGTS else 1)
    assert {key.removeprefix(folder) for key in take.lap.objects} == wanted
    assert take.outcome.progress.segments == len(rows)
    assert take.outcome.progress.bytes == sum(row.size for row in rows)
    assert take.lap.status is Status.STOPPED


def test_take_when_finished_then_the_playlist_of_the_lap_holds_all_of_it(take: Take):
    written = units_in_playlist(take.lap.folder / "index.m3u8")

    assert written == take.lap.units


def test_take_when_each_segment_is_decoded_alone_then_no_decoder_complains(take: Take):
    media = set(media_of(take))
    *whole, last = validate.decode_playlist(take.lap.playlist)

    for decoded in (*whole, last):
        assert not decoded.errors, decoded.messages[:3]
    for decoded in whole:
        assert (decoded.video_frames > 0, decoded.audio_samples > 0) == (
            "video" in media,
            "audio" in media,
        )
