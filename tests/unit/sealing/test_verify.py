"""Verify finds what is wrong with a recording, names the object and the segment, and only that."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from everreel.errors import RecordingNotFound
from everreel.media.access_unit import AccessUnit, Medium, TrackFormat
from everreel.media.index import Container
from everreel.media.segment import Segment
from everreel.recorder.package import Packager
from everreel.recorder.publish import Publisher
from everreel.sealing.picture import timeline
from everreel.sealing.verify import verify
from everreel.sealing.verify_report import Report, Trouble
from everreel.state.recording import Failure, LapOrder, Progress, Reason
from everreel.state.status import Status
from everreel.store.memory import MemoryStore
from tests.unit.media.isobmff.media_samples import AAC, OTHER_SPS, PPS, VIDEO
from tests.unit.media.streams import Arrival, Recorder, later, stream
from tests.unit.sealing.test_seal import House

SECOND = 1_000_000
SEGMENT_1 = "segments/00000001-a1.m4s"


def playable(arrivals: list[Arrival]) -> list[Arrival]:
    """The same stream with formats and pictures that files can hold."""
    found = []
    for arrival in arrivals:
        event = arrival.event
        if isinstance(event, TrackFormat):
            event = replace(VIDEO if event.width else AAC, timescale=1000, wrap=2**32)
        elif isinstance(event, AccessUnit) and event.data.startswith(b"\0"):
            kind = b"\x65" if event.keyframe else b"\x41"
            number = event.data[5:9].hex().encode()  # no zeros, which Annex B would have to escape
            body = (len(number) + 10).to_bytes(4, "big") + kind + number + event.data[9:]
            event = replace(event, data=body)
        found.append(Arrival(arrival.at_us, event))
    return found


class Relay(House):
    """A recording of given segments, each written by the lap that `writer` names for its k."""

    def __init__(
        self, segments: list[Segment], writer: Callable[[int], int] = lambda k: 1, **options
    ) -> None:
        self._segments, self._writer = segments, writer
        super().__init__(**options)

    def _record(self, seconds: float, container: Container) -> None:
        publisher: Publisher | None = None
        packager = Packager(container)
        for segment in self._segments:
            lap = self._writer(segment.k)
            if publisher is None or lap != self.order.lap:
                if lap != self.order.lap:
                    self._take_over(lap)
                publisher = Publisher(
                    self.recordings.find(self.sid) or self.recording, self.order, store=self.store,
                    recordings=self.recordings, bus=self.bus,
                )  # fmt: skip
                publisher.origin_utc_us = publisher.origin_utc_us or self.clock.utc_us()
            publisher.publish(packager.package(segment))
        self.written = publisher.segments

    def _take_over(self, lap: int) -> None:
        now_us = self.clock.utc_us()
        self.recordings.invoked(self.sid, "a", lap, f"request {lap}", now_us)
        self.recordings.claim(self.sid, "a", lap, f"request {lap}", now_us)
        self.order = LapOrder(self.sid, "a", lap)

    def end(self, reason: Reason = Reason.STOPPED) -> None:
        progress = Progress(Status.IN_PROGRESS, segments=self.written)
        self.recordings.end_lap(
            self.sid, "a", self.order.lap, reason, None, progress, self.clock.utc_us()
        )


def segments_of(*lives: list[Arrival]) -> list[Segment]:
    """Record lives of a stream, one connection after another."""
    recorder = Recorder()
    for number, life in enumerate(lives):
        if number:
            recorder.reopen()
        recorder.take(playable(life))
    return recorder.end()


def sealed(
    segments: list[Segment] | None = None, container: Container = Container.FMP4, **options
) -> Relay:
    house = Relay(segments or segments_of(stream(14, reorder=2)), container=container, **options)
    house.end()
    house.seal()
    return house


def judge(house: House, *, deep: bool = True) -> Report:
    return verify(house.store, f"room/{house.sid}/", deep=deep)


def change(house: House, name: str, edit: Callable[[bytes], bytes]) -> None:
    house.store.put(f"room/{house.sid}/{name}", edit(house.read(name)), "")


def edit_manifest(house: House, edit: Callable[[dict], object]) -> None:
    document = json.loads(house.read("recording.json"))
    edit(document)
    house.store.put(f"room/{house.sid}/recording.json", json.dumps(document).encode(), "")


def found(report: Report) -> set[tuple[Trouble, str, int | None]]:
    return {(each.trouble, each.object, each.k) for each in report.problems}


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


# ------------------------------------------------------------------ whole recordings


@pytest.mark.parametrize("container", list(Container))
@pytest.mark.parametrize("tracks", [{}, {"audio": False}, {"video": False}])
def test_verify_when_nothing_was_touched_then_it_is_whole(container: Container, tracks) -> None:
    house = sealed(segments_of(stream(14, reorder=0 if tracks else 2, **tracks)), container)
    report = judge(house)
    assert [str(each) for each in report.problems + report.remarks] == []
    rows = list(house.recordings.segments(house.sid))
    assert report.segments == len(rows)
    assert report.bytes == sum(row.size for row in rows)
    assert report.coverage == 1.0
    assert report.chain_whole
    units = {track.medium: track.units for track in report.tracks}
    assert units == {
        medium: sum(t.units for row in rows for t in row.tracks if t.medium == medium)
        for medium in units
    }


def test_verify_when_reading_then_progress_is_told_segment_by_segment() -> None:
    house, told = sealed(), []
    verify(house.store, f"room/{house.sid}/", lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_verify_when_a_publisher_was_away_then_the_gap_is_told_with_its_cause() -> None:
    away_us = 14 * SECOND
    house = sealed(segments_of(stream(9), later(stream(9, start_ms=14_000), away_us)))
    report = judge(house)
    assert report.problems == []
    (hole,) = report.holes
    assert (hole.cause, hole.declared) == ("reconnect", True)
    assert hole.duration_us == pytest.approx(5 * SECOND, abs=100_000)
    assert report.coverage == pytest.approx(1 - 5 / 23, abs=0.01)


def test_verify_when_joined_between_keyframes_then_the_gap_reaches_to_the_keyframe() -> None:
    back = later(stream(9, start_ms=14_000), 14 * SECOND)
    back = [
        arrival
        for arrival in back
        if not isinstance(arrival.event, AccessUnit) or arrival.at_us > 15 * SECOND
    ]
    report = judge(sealed(segments_of(stream(9), back)))
    assert report.problems == []
    assert report.holes[0].duration_us == pytest.approx(7 * SECOND, abs=100_000)


def test_verify_when_the_picture_size_changes_then_both_formats_are_told() -> None:
    from everreel.media.bitstream import h264

    first, second = stream(7), later(stream(14), 0)[2:]
    other = replace(VIDEO, config=h264.avcc([OTHER_SPS], [PPS]), timescale=1000, wrap=2**32)
    recorder = Recorder().take(playable(first))
    recorder.take([Arrival(7 * SECOND, other)])
    recorder.take(playable([a for a in second if a.at_us >= 7 * SECOND]))
    house = sealed(recorder.end())
    report = judge(house)
    assert [str(each) for each in report.problems] == []
    assert {track.init for track in report.tracks} == {1, 2}


def test_verify_when_laps_take_turns_then_it_tells_who_wrote_what() -> None:
    house = sealed(segments_of(stream(20)), writer=lambda k: 1 if k < 2 else 2)
    report = judge(house)
    assert [(w.lane, w.lap, w.first_k, w.last_k) for w in report.writers] == [
        ("a", 1, 0, 1),
        ("a", 2, 2, 3),
    ]
    assert [(each.k, each.before, each.after) for each in report.changes] == [(2, "a1", "a2")]


def test_verify_when_not_sealed_then_it_works_from_the_playlists() -> None:
    house = House()
    report = judge(house)
    assert not report.sealed
    assert report.problems == []
    assert report.segments == 3
    assert report.span_us == 14 * SECOND
    assert report.document()["startTime"] == "2026-01-01T00:00:00.000Z"


def test_verify_when_not_sealed_and_the_full_playlist_lags_then_the_live_one_counts() -> None:
    house = House()
    change(house, "index.m3u8", lambda body: body[: body.rindex(b"#EXTINF")])
    report = judge(house)
    assert (report.segments, report.problems) == (3, [])


def test_verify_when_there_is_no_recording_then_it_says_what_to_name() -> None:
    with pytest.raises(RecordingNotFound, match=r"recording\.json or index\.m3u8"):
        verify(MemoryStore(), "room/")


# ------------------------------------------------------------------ what was done to segments


def test_verify_when_a_byte_is_flipped_then_the_segment_is_tampered() -> None:
    house = sealed()
    change(house, SEGMENT_1, flip(5000))
    assert found(judge(house)) == {(Trouble.TAMPERED, SEGMENT_1, 1)}


def test_verify_when_a_segment_is_cut_short_then_it_is_truncated() -> None:
    house = sealed()
    change(house, SEGMENT_1, lambda body: body[:-1])
    report = judge(house)
    assert found(report) == {(Trouble.TRUNCATED, SEGMENT_1, 1)}
    assert not report.pieces[1].sound


@pytest.mark.parametrize(("early_us", "sound"), [(400, True), (900, False)])
def test_verify_when_sound_begins_a_little_before_the_picture_then_it_is_whole(
    early_us: int, sound: bool
) -> None:
    """A cut lies between two ticks of the coarsest clock, so it may lie behind a sound's start."""
    first, second = segments_of(stream(11))
    at_us = second.samples[Medium.AUDIO][0].pts_us
    back_us = at_us - second.start_us + early_us
    for sample in second.samples[Medium.AUDIO]:
        sample.pts_us -= back_us
        sample.dts_us -= back_us
    first.next_pts_us[Medium.AUDIO] = at_us - back_us
    report = judge(sealed([first, second]))
    assert report.whole is sound, report.problems


def test_verify_when_a_segment_is_removed_then_it_is_missing_and_its_time_is_a_hole() -> None:
    house = sealed()
    house.remove(SEGMENT_1)
    report = judge(house)
    assert found(report) == {(Trouble.MISSING, SEGMENT_1, 1)}
    assert report.gap_us == 6 * SECOND


def test_verify_when_two_segments_are_swapped_then_both_are_named() -> None:
    house = sealed()
    first = house.read("segments/00000000-a1.m4s")
    change(house, "segments/00000000-a1.m4s", lambda _: house.read(SEGMENT_1))
    change(house, SEGMENT_1, lambda _: first)
    assert {(each.object, each.k) for each in judge(house).problems} == {
        ("segments/00000000-a1.m4s", 0),
        (SEGMENT_1, 1),
    }


def test_verify_when_a_segment_was_gone_before_the_seal_then_it_is_named() -> None:
    house = Relay(segments_of(stream(20)))
    house.end()
    house.remove(SEGMENT_1)
    house.seal()
    report = judge(house)
    assert (Trouble.MISSING, SEGMENT_1, 1) in found(report)
    (hole,) = report.holes
    assert (hole.cause, hole.duration_us, hole.declared) == ("missing", 6 * SECOND, True)
    assert report.coverage == report.declared_coverage == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("gone", "begin", "lasts"), [([0, 1], 0, 12), ([3], 18, 2), ([0, 3], 0, 6), ([1, 2], 6, 12)]
)
def test_verify_when_segments_were_gone_before_the_seal_then_their_time_is_no_coverage(
    gone: list[int], begin: int, lasts: int
) -> None:
    house = Relay(segments_of(stream(20)))
    house.end()
    for k in gone:
        house.remove(f"segments/{k:08d}-a1.m4s")
    house.seal()
    report = judge(house)
    assert {each.trouble for each in report.problems} == {Trouble.MISSING}
    assert [each.k for each in report.problems] == gone
    assert (report.holes[0].start_us, report.holes[0].duration_us) == (
        begin * SECOND,
        lasts * SECOND,
    )
    lost_s = sum(2 if k == 3 else 6 for k in gone)
    assert report.coverage == report.declared_coverage == pytest.approx(1 - lost_s / 20)
    assert report.span_us == 20 * SECOND
    drawing = timeline(report)
    assert ">missing, " in drawing


def test_verify_when_somebody_adds_a_segment_then_it_is_foreign() -> None:
    house = sealed()
    name = "segments/00000001-b7.m4s"
    house.store.put(f"room/{house.sid}/{name}", house.read(SEGMENT_1), "")
    assert found(judge(house)) == {(Trouble.FOREIGN, name, 1)}


def test_verify_when_a_lap_left_an_object_over_then_it_is_a_remark() -> None:
    house = sealed()
    name = "segments/00000003-a1.m4s"
    house.store.put(f"room/{house.sid}/{name}", house.read(SEGMENT_1), "")
    report = judge(house)
    assert report.whole
    assert [each.object for each in report.remarks] == [name]


def test_verify_when_a_lap_died_before_its_only_object_was_committed_then_it_is_a_remark() -> None:
    house = Relay(segments_of(stream(14, reorder=2)))
    now_us = house.clock.utc_us()
    house.recordings.invoked(house.sid, "b", 2, "beside", now_us)
    house.recordings.claim(house.sid, "b", 2, "beside", now_us)
    name = "segments/00000001-b2.m4s"
    house.store.put(f"room/{house.sid}/{name}", house.read(SEGMENT_1), "")
    failure = Failure("recorder_died", "service", "killed")
    house.recordings.declare_dead(house.sid, "b", 2, failure, now_us, now_us)
    house.end()
    house.seal()
    report = judge(house)
    assert report.whole
    assert [each.object for each in report.remarks] == [name]


# ------------------------------------------------------------------ what was done to lists


def test_verify_when_a_segment_is_dropped_from_the_playlist_then_it_is_left_out() -> None:
    house = sealed()
    line = b"#EXTINF:6.000000,\n" + SEGMENT_1.encode() + b"\n"
    change(house, "index.m3u8", lambda body: body.replace(line, b""))
    assert (Trouble.OMITTED, "index.m3u8", 1) in found(judge(house))


def test_verify_when_a_segment_is_added_to_the_playlist_then_it_is_foreign() -> None:
    house = sealed()
    line = b"#EXTINF:6.000000,\nsegments/00000009-a1.m4s\n#EXT-X-ENDLIST"
    change(house, "index.m3u8", lambda body: body.replace(b"#EXT-X-ENDLIST", line))
    (problem,) = judge(house).problems
    assert (problem.trouble, problem.object) == (Trouble.FOREIGN, "index.m3u8")
    assert "segments/00000009-a1.m4s" in problem.text


def test_verify_when_the_playlist_changes_the_order_then_both_are_out_of_place() -> None:
    house = sealed()
    names = b"segments/00000000-a1.m4s", SEGMENT_1.encode()

    def swap(body: bytes) -> bytes:
        return body.replace(names[0], b"?").replace(names[1], names[0]).replace(b"?", names[1])

    change(house, "index.m3u8", swap)
    misplaced = {(Trouble.MISPLACED, "index.m3u8", 0), (Trouble.MISPLACED, "index.m3u8", 1)}
    assert misplaced <= found(judge(house))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"#EXTINF:6.000000", b"#EXTINF:5.000000"),
        (b"#EXT-X-ENDLIST\n", b""),
        (b"TARGETDURATION:6", b"TARGETDURATION:5"),
        (b"#EXTINF:6.000000,\nsegments/00000001", b"#EXT-X-DISCONTINUITY\n\\g<0>"),
        (b"init-1.mp4", b"init-2.mp4"),
        (b"2026-01-01T00:00:00", b"2026-01-01T00:00:01"),
        (b"#EXT-X-INDEPENDENT-SEGMENTS\n", b"#EXT-X-INDEPENDENT-SEGMENTZ\n"),
    ],
)
def test_verify_when_the_playlist_is_edited_then_the_line_is_named(old, new) -> None:
    house = sealed()
    change(house, "index.m3u8", lambda body: body.replace(old, new.replace(rb"\g<0>", old)))
    assert {each.object for each in judge(house).problems} == {"index.m3u8"}


def test_verify_when_the_manifest_tells_another_digest_then_the_chain_breaks_there() -> None:
    house = sealed()
    edit_manifest(house, lambda d: d["segments"][1].update(sha256="0" * 64))
    assert found(judge(house)) == {
        (Trouble.CHAIN, "recording.json", 1),
        (Trouble.TAMPERED, SEGMENT_1, 1),
    }


def test_verify_when_a_segment_is_left_out_of_the_manifest_then_chain_and_lists_tell() -> None:
    house = sealed()
    edit_manifest(house, lambda d: d["segments"].pop(1))
    report = judge(house)
    assert (Trouble.CHAIN, "recording.json", 2) in found(report)
    assert (Trouble.GAP, "segments/00000002-a1.m4s", 2) in found(report)
    assert any(each.object == "index.m3u8" for each in report.problems)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(coverage=0.5),
        lambda d: d.update(recordedSeconds=13.0),
        lambda d: d.update(bytes=1),
        lambda d: d.update(chain="0" * 64),
        lambda d: d.update(container="mpegts"),
        lambda d: d.update(startTime="2026-01-01T00:00:01.000Z"),
        lambda d: d["laps"][0].update(segments=2),
        lambda d: d["laps"][0].update(lap=2),
        lambda d: d["laps"][0].update(lap=[1]),
        lambda d: d["laps"][0].update(lane=["a"]),
        lambda d: d["laps"][0].pop("follows"),
        lambda d: d["laps"][0].update(follows="b7"),
        lambda d: d["laps"][0].update(follows=["a1"]),
        lambda d: d["segments"][1].update(lap=2),
        lambda d: d["segments"][1].update(durationSeconds=6.5),
        lambda d: d["segments"][1]["units"].update(video=149),
        lambda d: d["tracks"][0]["tracks"][0].update(width=641),
        lambda d: d["gaps"].append({"cause": "loss", "startSeconds": 2.0, "durationSeconds": 3.0}),
        lambda d: d["files"].pop("live"),
        lambda d: d.update(sid="0" * 32),
    ],
)
def test_verify_when_the_manifest_is_edited_then_it_contradicts_itself_or_the_objects(edit) -> None:
    house = sealed()
    edit_manifest(house, edit)
    assert "recording.json" in {each.object for each in judge(house).problems}


def test_verify_when_a_gap_is_not_declared_then_it_is_an_error() -> None:
    house = sealed(segments_of(stream(9), later(stream(9, start_ms=14_000), 14 * SECOND)))
    edit_manifest(house, lambda d: d["gaps"].clear())
    report = judge(house)
    assert any(each.trouble is Trouble.GAP and each.k == 2 for each in report.problems)


def test_verify_when_the_manifest_is_gone_then_the_closed_playlist_tells() -> None:
    house = sealed()
    house.remove("recording.json")
    assert found(judge(house)) == {(Trouble.MISSING, "recording.json", None)}


# ------------------------------------------------------------------ what was done to the rest


@pytest.mark.parametrize("name", ["init-1.mp4", "init-1-video.mp4", "index.m3u8", "recording.mp4"])
def test_verify_when_another_object_is_gone_then_it_is_missing(name: str) -> None:
    house = sealed()
    house.remove(name)
    assert (Trouble.MISSING, name, None) in found(judge(house))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'mediaRange="24-', b'mediaRange="25-'),
        (SEGMENT_1.encode(), b"segments/00000007-a1.m4s"),
        (b'<S d="540000"/>', b'<S d="540001"/>'),
        (b'timescale="90000"', b'timescale="90001"'),
        (b'sourceURL="init-1-video.mp4"', b'sourceURL="init-1-audio.mp4"'),
        (b"<Period ", b"<Periot "),
    ],
)
def test_verify_when_the_mpd_is_edited_then_it_is_named(old: bytes, new: bytes) -> None:
    house = sealed()
    change(house, "manifest.mpd", lambda body: body.replace(old, new))
    assert {each.object for each in judge(house).problems} == {"manifest.mpd"}


def test_verify_when_the_mp4_lacks_samples_then_only_a_deep_look_finds_it() -> None:
    house, shorter = sealed(), sealed(segments_of(stream(12, reorder=2)))
    change(house, "recording.mp4", lambda _: shorter.read("recording.mp4"))
    assert judge(house, deep=False).whole
    problems = [str(each) for each in judge(house).problems]
    assert any("video samples, the segments have 350" in each for each in problems)


@pytest.mark.parametrize("container", list(Container))
def test_verify_when_a_byte_of_the_mp4_is_flipped_then_the_segment_is_named(container) -> None:
    house = sealed(container=container)
    size = len(house.read("recording.mp4"))
    change(house, "recording.mp4", flip(size - 10))
    assert found(judge(house)) == {(Trouble.CONTRADICTION, "recording.mp4", 2)}
