"""A segment costs on the last day what it cost in the first hour: requests, bytes, rows, work."""

from dataclasses import dataclass

import pytest

from everreel.media.continuity import settled
from everreel.media.hls import entry, media_playlist
from tests.lab.long_recording import DAY, HOUR, LAP, SID, WEEK, Cost, LongRecording, Samples

HOURS = {DAY: 24, WEEK: 168}
COUNTED = 6
"""Hours that are looked at together: laps and full playlists come in some and not in others."""


@dataclass
class Run:
    """A recording of so many segments, what each of its hours cost, and what its laps held."""

    recording: LongRecording
    hours: list[Cost]
    lap_memory: list[tuple[int, int]]
    """Of the lap after the first hour and of the last one: bytes, and those of the playlist."""

    def some(self, first: int, count: int = COUNTED) -> Samples:
        return Samples(self.hours[first : first + count], HOUR)

    @property
    def early(self) -> Samples:
        return self.some(1)

    @property
    def late(self) -> Samples:
        return self.some(len(self.hours) - COUNTED)


@pytest.fixture(scope="module", params=[DAY, WEEK], ids=["24-hours", "7-days"])
def run(request) -> Run:
    recording = LongRecording()
    hours = [recording.record(HOUR)]
    held = [_lap_memory(recording)]
    last = HOURS[request.param] - COUNTED
    counted = {*range(1, 1 + COUNTED), *range(last, last + COUNTED)}
    hours += [
        recording.record(HOUR, count_lines=hour in counted)
        for hour in range(1, HOURS[request.param])
    ]
    held.append(_lap_memory(recording))
    return Run(recording, hours, held)


def _lap_memory(recording: LongRecording) -> tuple[int, int]:
    recording.record(-recording.k % LAP)
    return recording.lap_memory(), len(recording.store.get(recording.folder.index))


def test_requests_when_a_recording_is_long_then_a_segment_makes_as_many_as_in_its_second_hour(
    run: Run,
) -> None:
    for late in (run.late, run.some(len(run.hours) // 2)):
        assert late.each("requests") <= run.early.each("requests")
        assert late.each("events") == pytest.approx(1.0, abs=0.02)
        assert late.each("table_calls") < 3.2  # commit, look for others' commits, beat


def test_rows_when_a_recording_is_long_then_each_is_read_twice_and_a_few_more_per_lap(
    run: Run,
) -> None:
    """Once for the live playlist and once for the full one."""
    most = max(hour.rows_read / HOUR for hour in run.hours)
    per_lap = 20 / LAP
    growth = 0.02 * run.recording.k / HOUR  # what one hour may read of the hours before
    assert most < 2 + per_lap + growth
    total = sum(hour.rows_read for hour in run.hours)
    assert total < (2 + per_lap) * HOUR * len(run.hours)


def test_bytes_when_a_recording_is_long_then_all_full_playlists_together_stay_linear(
    run: Run,
) -> None:
    size = run.lap_memory[-1][1]
    assert sum(hour.index_bytes for hour in run.hours) < 52 * size
    # A lap that begins reads the playlist that it goes on with, at most once per write.
    assert sum(hour.got_bytes for hour in run.hours) < 52 * size
    for late in (run.late, run.some(len(run.hours) // 2)):
        beside = late.each("put_bytes") - late.each("index_bytes")
        assert beside == pytest.approx(
            run.early.each("put_bytes") - run.early.each("index_bytes"), rel=0.01
        )


def test_work_when_a_recording_is_long_then_a_segment_takes_no_more(run: Run) -> None:
    """CPU time is measured by `make bench`; lines that run do not depend on the machine."""
    assert run.early.each("lines") > 100
    assert run.late.each("lines") < 1.2 * run.early.each("lines")


def test_memory_when_a_recording_is_long_then_a_lap_holds_the_full_playlist_and_no_more(
    run: Run,
) -> None:
    """Twice while it is written: its text, with room to grow by an eighth, and the upload."""
    (first, _), (last, playlist) = run.lap_memory
    assert last < first + 2.25 * playlist
    assert last < 12_000_000


def test_playlist_when_hundreds_of_laps_wrote_it_then_it_is_the_one_that_one_would_write(
    run: Run,
) -> None:
    recordings, store = run.recording.recordings, run.recording.store
    inits = {row.number: row for row in recordings.inits(SID)}
    entries = [entry(row, inits) for row in settled(recordings.segments(SID))]
    assert len(entries) == run.recording.k
    text = media_playlist(entries, target_s=6, kind="event")
    assert store.get(run.recording.folder.index).decode() == text


def test_playlist_when_what_lies_there_is_none_of_ours_then_it_is_written_anew() -> None:
    recording = LongRecording()
    recording.record(2 * LAP)
    recording.store.put(recording.folder.index, b"what is this?", "")
    recording.record(LAP)
    recording.end()
    text = recording.store.get(recording.folder.index).decode()
    assert text.count("#EXTINF") == 3 * LAP


def test_playlist_when_it_is_gone_then_it_is_written_anew() -> None:
    recording = LongRecording()
    recording.record(2 * LAP)
    recording.store.delete(recording.folder.index)
    recording.record(LAP)
    recording.end()
    assert recording.store.get(recording.folder.index).count(b"#EXTINF") == 3 * LAP


def test_playlist_when_another_recordings_lies_there_then_its_segments_are_not_taken_over() -> None:
    other, recording = LongRecording(skip=lambda k: k == 40), LongRecording()
    other.record(LAP)
    other.end()
    recording.record(2 * LAP)
    theirs = other.store.get(other.folder.index).replace(b"-a1.", b"-c9.")
    recording.store.put(recording.folder.index, theirs, "")
    recording.record(LAP)
    recording.end()
    text = recording.store.get(recording.folder.index)
    assert text.count(b"#EXTINF") == 3 * LAP
    assert b"-c9." not in text
