"""Following a live playlist: where to begin, what was missed, when to look again."""

from hypothesis import given
from hypothesis import strategies as st

from everreel.protocols.hls_cursor import Cause, Cursor, Missed
from everreel.protocols.hls_playlist import MediaPlaylist, Part, Segment

TARGET_S = 4.0


def playlist(first: int, end: int, *, ended: bool = False, name: str = "s") -> MediaPlaylist:
    segments = tuple(
        Segment(n, Part(f"http://a.example/{name}{n}.ts?t={first}"), TARGET_S, None, False, "")
        for n in range(first, end)
    )
    return MediaPlaylist(TARGET_S, first, segments, ended)


def taken(cursor: Cursor) -> list[int]:
    numbers = []
    while (segment := cursor.pop()) is not None:
        numbers.append(segment.sequence)
    return numbers


def test_update_when_the_stream_is_live_then_it_begins_three_segments_from_the_edge():
    cursor = Cursor()
    assert cursor.update(playlist(10, 20), 0.0) is None
    assert taken(cursor) == [17, 18, 19]


def test_update_when_the_playlist_is_short_then_it_begins_at_its_start():
    cursor = Cursor()
    cursor.update(playlist(0, 2), 0.0)
    assert taken(cursor) == [0, 1]


def test_update_when_backfill_is_wanted_then_it_begins_so_much_earlier():
    cursor = Cursor(backfill_s=22.0)
    cursor.update(playlist(10, 20), 0.0)
    assert taken(cursor) == [14, 15, 16, 17, 18, 19]
    cursor = Cursor(backfill_s=1000.0)
    cursor.update(playlist(10, 20), 0.0)
    assert taken(cursor)[0] == 10


def test_update_when_the_playlist_has_ended_before_we_came_then_all_of_it_is_taken():
    cursor = Cursor()
    cursor.update(playlist(0, 9, ended=True), 0.0)
    assert (cursor.done, taken(cursor), cursor.done) == (False, list(range(9)), True)


def test_reload_at_when_changed_then_a_target_duration_later_else_half_of_it():
    cursor = Cursor()
    cursor.update(playlist(0, 3), 100.0)
    assert cursor.reload_at == 104.0
    cursor.update(playlist(0, 3), 104.0)
    assert cursor.reload_at == 106.0
    cursor.update(playlist(1, 4), 106.0)
    assert cursor.reload_at == 110.0
    cursor.failed(200.0)
    assert cursor.reload_at == 202.0


def test_update_when_segments_left_the_playlist_unseen_then_they_are_declared():
    cursor = Cursor()
    cursor.update(playlist(0, 3), 0.0)
    assert taken(cursor) == [0, 1, 2]
    assert cursor.update(playlist(5, 8), 4.0) == Missed(3, 2, 8.0, Cause.LEFT_PLAYLIST)
    assert taken(cursor) == [5, 6, 7]


def test_update_when_a_cache_serves_an_older_copy_then_nothing_happens():
    cursor = Cursor()
    cursor.update(playlist(4, 10), 0.0)
    assert taken(cursor) == [7, 8, 9]
    for _ in range(3):
        assert cursor.update(playlist(3, 9), 1.0) is None
        assert taken(cursor) == []
    cursor.update(playlist(5, 11), 2.0)
    assert taken(cursor) == [10]


def test_update_when_the_server_counts_anew_then_it_is_declared_and_followed():
    cursor = Cursor()
    cursor.update(playlist(40, 50), 0.0)
    taken(cursor)
    assert cursor.update(playlist(0, 2), 4.0) == Missed(0, 0, 0.0, Cause.RESTARTED)
    assert taken(cursor) == [0, 1]


def test_update_when_the_server_counts_anew_with_known_names_then_it_is_believed_in_the_end():
    cursor = Cursor()
    cursor.update(playlist(0, 3), 0.0)
    taken(cursor)
    shown = [cursor.update(playlist(0, 1), 1.0) for _ in range(4)]
    assert shown == [None, None, None, Missed(0, 0, 0.0, Cause.RESTARTED)]


def test_update_when_the_playlist_is_empty_then_it_waits():
    cursor = Cursor()
    assert cursor.update(playlist(0, 0), 0.0) is None
    assert taken(cursor) == []
    cursor.update(playlist(0, 1), 4.0)
    assert taken(cursor) == [0]
    assert cursor.update(playlist(0, 0), 8.0) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=30))
def test_update_when_a_window_slides_then_every_number_is_taken_once_or_declared(steps):
    cursor = Cursor()
    first, end = 0, 3
    cursor.update(playlist(first, end), 0.0)
    numbers = taken(cursor)
    missing: list[int] = []
    for gone, new in steps:
        end += new
        first = min(first + gone + max(0, new - 3), end)
        missed = cursor.update(playlist(first, end), 0.0)
        if missed is not None:
            assert missed.cause is Cause.LEFT_PLAYLIST
            missing += range(missed.first, missed.first + missed.count)
        numbers += taken(cursor)
    assert numbers == sorted(set(numbers))
    assert sorted(numbers + missing) == list(range(max(numbers + missing) + 1))
