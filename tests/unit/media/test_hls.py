"""Playlists: what RFC 8216 asks of each tag, and a cost that stays linear."""

import re
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.media.hls import (
    IndexBuilder,
    LiveWindow,
    PlaylistEntry,
    due,
    entry,
    media_playlist,
)
from everreel.media.index import InitRow, SegmentRow

START = 1_760_000_000_000_000


def item(n, *, duration_us=6_000_000, init="init-1.mp4", broken=False, independent=True):
    return PlaylistEntry(
        f"segments/{n:08d}-1.{'m4s' if init else 'ts'}",
        duration_us,
        START + n * 6_000_000,
        init,
        broken,
        independent,
    )


def test_playlist_of_three_segments_then_reads_as_the_standard_has_it():
    entries = [item(0), item(1, duration_us=5_966_667), item(2, init="init-2.mp4", broken=True)]
    assert media_playlist(entries, target_s=6, kind="event") == (
        "#EXTM3U\n"
        "#EXT-X-VERSION:6\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-TARGETDURATION:6\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:EVENT\n"
        '#EXT-X-MAP:URI="init-1.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2025-10-09T08:53:20.000Z\n"
        "#EXTINF:6.000000,\n"
        "segments/00000000-1.m4s\n"
        "#EXTINF:5.966667,\n"
        "segments/00000001-1.m4s\n"
        "#EXT-X-DISCONTINUITY\n"
        '#EXT-X-MAP:URI="init-2.mp4"\n'
        "#EXT-X-PROGRAM-DATE-TIME:2025-10-09T08:53:32.000Z\n"
        "#EXTINF:6.000000,\n"
        "segments/00000002-1.m4s\n"
    )


def test_playlist_of_transport_streams_then_no_map_and_version_3():
    text = media_playlist([item(0, init=None)], target_s=6, kind="vod", ended=True)
    assert "EXT-X-MAP" not in text
    assert "#EXT-X-VERSION:3\n" in text
    assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in text
    assert text.endswith("#EXT-X-ENDLIST\n")


def test_playlist_when_one_segment_starts_inside_a_gop_then_it_is_not_called_independent():
    text = media_playlist([item(0), item(1, independent=False)], target_s=6, kind="event")
    assert "INDEPENDENT" not in text


def test_playlist_when_a_segment_is_longer_than_the_target_then_the_target_is_raised():
    text = media_playlist([item(0, duration_us=9_600_000)], target_s=6, kind="live")
    assert "#EXT-X-TARGETDURATION:10\n" in text


def test_target_of_a_window_when_the_long_segment_has_left_then_it_does_not_shrink():
    window = LiveWindow(6, 2)
    for n in range(5):
        window.add(item(n, duration_us=9_600_000 if n == 1 else 6_000_000))
    assert "#EXT-X-TARGETDURATION:10\n" in window.render()


def test_entry_of_a_row_then_carries_what_the_playlist_shows():
    row = SegmentRow(
        3, "segments/00000003-1.m4s", 2, 18_000_000, 6_000_000, START, 10, "00", (), True, None,
        True, "a", 1,
    )  # fmt: skip
    inits = {2: InitRow(2, (), {"all": "init-2.mp4"})}
    assert entry(row, inits) == PlaylistEntry(
        "segments/00000003-1.m4s", 6_000_000, START, "init-2.mp4", True, True
    )


ENTRIES = st.lists(
    st.builds(
        item,
        st.integers(0, 10**6),
        duration_us=st.integers(1, 60_000_000),
        init=st.sampled_from(["init-1.mp4", "init-2.mp4", None]),
        broken=st.booleans(),
        independent=st.booleans(),
    ),
    max_size=30,
)


@given(ENTRIES, st.booleans())
def test_builder_after_any_entries_then_renders_what_one_pass_writes(entries, ended):
    builder = IndexBuilder(6)
    for one in entries:
        builder.add(one)
    assert builder.render(ended=ended).decode() == media_playlist(
        entries, target_s=6, kind="event", ended=ended
    )


@given(ENTRIES, st.integers(0, 30), st.booleans())
def test_builder_when_another_goes_on_from_its_text_then_nothing_tells_them_apart(
    entries, taken_up_after, fmp4
):
    """A recording is fMP4 or MPEG-TS throughout."""
    kind = "m4s" if fmp4 else "ts"
    entries = [
        replace(
            each,
            uri=f"segments/{n:08d}-a1.{kind}",
            init_uri=(each.init_uri or "init-3.mp4") if fmp4 else None,
        )
        for n, each in enumerate(entries)
    ]
    builder = IndexBuilder(6)
    for number, one in enumerate(entries):
        if number == taken_up_after and number:
            resumed = IndexBuilder.resume(builder.render())
            assert resumed is not None
            builder = resumed
        builder.add(one)
    assert builder.render().decode() == media_playlist(entries, target_s=6, kind="event")
    assert builder.count == len(entries)
    assert builder.last_uri == (entries[-1].uri if entries else "")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"garbage",
        IndexBuilder(6).render(),
        media_playlist([item(0)], target_s=6, kind="event", ended=True).encode(),
        media_playlist([item(0)], target_s=6, kind="vod").encode(),
        media_playlist([item(0)], target_s=6, kind="event").encode()[:-1],
    ],
)
def test_builder_when_the_text_is_none_to_go_on_with_then_there_is_none(text):
    assert IndexBuilder.resume(text) is None


@given(ENTRIES)
def test_durations_in_a_playlist_then_add_up_to_the_microsecond(entries):
    text = media_playlist(entries, target_s=6, kind="vod")
    found = re.findall(r"#EXTINF:(\d+)\.(\d{6}),", text)
    assert sum(int(s + us) for s, us in found) == sum(one.duration_us for one in entries)
    (target,) = re.findall(r"TARGETDURATION:(\d+)", text)
    assert all(round(one.duration_us / 1e6) <= int(target) for one in entries)


@given(ENTRIES, st.integers(1, 8))
def test_window_as_it_slides_then_segments_and_breaks_keep_their_numbers(entries, size):
    """RFC 8216 §6.2.2: a segment never changes its media or discontinuity sequence number."""
    window = LiveWindow(6, size)
    numbers: dict[int, tuple[int, str]] = {}
    for one in entries:
        window.add(one)
        text = window.render()
        sequence = int(re.findall(r"MEDIA-SEQUENCE:(\d+)", text)[0])
        breaks = int((re.findall(r"DISCONTINUITY-SEQUENCE:(\d+)", text) or [0])[0])
        assert text.count("#EXTINF") <= size
        for line in text.splitlines():
            if line == "#EXT-X-DISCONTINUITY":
                breaks += 1
            elif not line.startswith("#"):
                assert numbers.setdefault(sequence, (breaks, line)) == (breaks, line)
                sequence += 1
    assert sorted(numbers) == list(range(len(entries)))


@pytest.mark.parametrize(
    ("written", "now", "expected"),
    [(0, 0, False), (0, 1, True), (49, 50, True), (50, 51, True), (51, 52, False),
     (100, 101, False), (100, 102, True), (1000, 1019, False), (1000, 1020, True), (7, 7, False)],
)  # fmt: skip
def test_due_as_the_playlist_grows_then_every_segment_at_first_and_2_percent_later(
    written, now, expected
):
    assert due(written, now) is expected


def test_index_over_a_week_of_segments_then_all_writes_together_stay_linear():
    builder = IndexBuilder(6)
    written, cost, cost_of_half = 0, 0, 0
    for n in range(100_800):
        builder.add(item(n))
        if due(written, builder.count):
            cost += len(builder.render())
            written = builder.count
        if n == 50_400:
            cost_of_half = cost
    final = len(builder.render(ended=True))
    assert cost < 52 * final
    assert cost < 2.2 * cost_of_half
    assert sys.getsizeof(builder._text) < 100_800 * 150
