"""Names: building and parsing are inverse, and nothing else parses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import InvalidRequest
from everreel.media.access_unit import Medium
from everreel.media.index import Container
from everreel.media.names import (
    Folder,
    Kind,
    ObjectName,
    content_type,
    init_name,
    parse,
    segment_name,
)

SID = "0123456789abcdef0123456789abcdef"
WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@:+=-]{0,127}", fullmatch=True)
PREFIXES = st.lists(st.one_of(WORD, st.just("segments")), max_size=3).map("/".join)
FOLDERS = st.builds(Folder, PREFIXES, WORD, st.text("0123456789abcdef", min_size=32, max_size=32))
FIXED = st.sampled_from(sorted(set(Kind) - {Kind.INIT, Kind.SEGMENT}))
NAMES = st.one_of(
    st.builds(ObjectName, FOLDERS, FIXED),
    st.builds(
        ObjectName,
        FOLDERS,
        st.just(Kind.INIT),
        st.integers(0, 10**6),
        st.sampled_from([None, *Medium]),
    ),
    st.builds(
        ObjectName,
        FOLDERS,
        st.just(Kind.SEGMENT),
        st.integers(0, 10**10),
        writer=st.from_regex(r"[a-z][1-9][0-9]{0,5}", fullmatch=True),
        container=st.sampled_from(Container),
    ),
)


@given(NAMES)
def test_parse_of_a_built_key_then_gives_the_name_back(name):
    assert parse(name.key) == name


@given(st.one_of(st.text(max_size=80), st.text("0123456789/segmnt-.ial4v", max_size=40)), FOLDERS)
def test_parse_of_any_key_then_none_or_one_that_builds_it(tail, folder):
    for key in (tail, folder.path + tail, folder.path + "segments/" + tail):
        name = parse(key)
        assert name is None or name.key == key


@pytest.mark.parametrize(
    "relative",
    [
        "segments/1-a1.m4s",
        "segments/000000001-a1.m4s",
        "segments/00000001-a01.m4s",
        "segments/00000001-1.m4s",
        "segments/00000001-a1.mp4",
        "segments/0000000\u0661-a1.m4s",
        "init-01.mp4",
        "init-1-mix.mp4",
        "init-1.mp4\n",
        "live.m3u8/",
        "",
        "other.txt",
    ],
)
def test_parse_of_an_almost_right_name_then_none(relative):
    assert parse(Folder("a/b", "room", SID).key(relative)) is None


@pytest.mark.parametrize("head", ["/room/", "a//room/", "../room/", "a/ /"])
def test_parse_of_an_unfit_folder_then_none(head):
    assert parse(f"{head}{SID}/live.m3u8") is None


@pytest.mark.parametrize(
    ("prefix", "channel", "sid", "field"),
    [
        ("/a", "room", SID, "prefix"),
        ("a/../b", "room", SID, "prefix"),
        ("a" * 129, "room", SID, "prefix"),
        ("", "", SID, "channel"),
        ("", "a/b", SID, "channel"),
        ("", "room", "xyz", "sid"),
    ],
)
def test_folder_of_unfit_parts_then_invalid_request_names_the_field(prefix, channel, sid, field):
    with pytest.raises(InvalidRequest) as caught:
        Folder(prefix, channel, sid)
    assert caught.value.field == field


def test_keys_of_a_folder_then_read_as_documented():
    folder = Folder("tv/night", "room1", SID)
    assert folder.segment(12, "a3", Container.FMP4) == folder.path + "segments/00000012-a3.m4s"
    assert folder.path == f"tv/night/room1/{SID}/"
    assert folder.segment(12, "b3", Container.MPEGTS).endswith("/segments/00000012-b3.ts")
    assert folder.init(2) == folder.key(init_name(2)) == folder.path + "init-2.mp4"
    assert folder.init(2, Medium.AUDIO) == folder.path + "init-2-audio.mp4"
    assert Folder("", "room1", SID).live == f"room1/{SID}/live.m3u8"
    names = {folder.index, folder.mpd, folder.manifest, folder.mp4, folder.poster}
    assert {n.removeprefix(folder.path) for n in names} == {
        "index.m3u8",
        "manifest.mpd",
        "recording.json",
        "recording.mp4",
        "poster.jpg",
    }


def test_longest_key_then_fits_into_a_store():
    folder = Folder("/".join(["a" * 127] * 4), "c" * 128, SID)
    assert len(folder.segment(10**12, f"a{10**9}", Container.FMP4)) <= 1024


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (segment_name(0, "a1", Container.FMP4), "video/iso.segment"),
        (segment_name(0, "a1", Container.MPEGTS), "video/mp2t"),
        (init_name(1), "video/mp4"),
        ("live.m3u8", "application/vnd.apple.mpegurl"),
        ("manifest.mpd", "application/dash+xml"),
        ("recording.json", "application/json"),
        ("poster.jpg", "image/jpeg"),
        ("unknown", "application/octet-stream"),
    ],
)
def test_content_type_of_a_name_then_as_registered(name, expected):
    assert content_type(name) == expected
