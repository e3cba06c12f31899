"""Reading HLS playlists."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceError, SourceMalformed, SourceUnsupported
from everreel.protocols.hls_playlist import MasterPlaylist, MediaPlaylist, Part, parse

URL = "https://cdn.example/live/index.m3u8?token=t"


def media(text: str, url: str = URL) -> MediaPlaylist:
    playlist = parse(("#EXTM3U\n" + text).encode(), url)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def master(text: str) -> MasterPlaylist:
    playlist = parse(("#EXTM3U\n" + text).encode(), URL)
    assert isinstance(playlist, MasterPlaylist)
    return playlist


def test_parse_when_segments_are_listed_then_they_are_numbered_and_absolute():
    playlist = media(
        "#EXT-X-VERSION:3\r\n#EXT-X-TARGETDURATION:6\r\n#EXT-X-MEDIA-SEQUENCE:41\r\n"
        "#EXTINF:5.5,title, with comma\r\na.ts\r\n#EXT-X-DISCONTINUITY\r\n"
        "#EXTINF:6\r\n/b.ts?x=1\r\n# a comment\r\n\r\n#EXTINF:4.25,\r\nhttp://other.example/c.ts\r\n"
    )
    assert (playlist.first, playlist.end, playlist.target_s, playlist.ended) == (41, 44, 6, False)
    assert [(s.sequence, s.media.url, s.duration_s) for s in playlist.segments] == [
        (41, "https://cdn.example/live/a.ts", 5.5),
        (42, "https://cdn.example/b.ts?x=1", 6.0),
        (43, "http://other.example/c.ts", 4.25),
    ]


def test_parse_when_ranges_follow_each_other_then_each_begins_where_the_last_ended():
    playlist = media(
        '#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI="all.mp4",BYTERANGE="800@0"\n'
        "#EXTINF:6,\n#EXT-X-BYTERANGE:100@800\nall.mp4\n#EXTINF:6,\n#EXT-X-BYTERANGE:50\nall.mp4\n"
        "#EXTINF:6,\nwhole.mp4\n"
    )
    url = "https://cdn.example/live/all.mp4"
    assert [s.media for s in playlist.segments] == [
        Part(url, (800, 100)),
        Part(url, (900, 50)),
        Part("https://cdn.example/live/whole.mp4"),
    ]
    assert {s.init for s in playlist.segments} == {Part(url, (0, 800))}


def test_parse_when_key_map_and_gap_stand_between_then_they_apply_to_what_follows():
    playlist = media(
        '#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n'
        "#EXTINF:6,\nb\n#EXT-X-KEY:METHOD=NONE\n#EXT-X-GAP\n#EXTINF:6,\nc\n"
        '#EXT-X-MAP:URI="i.mp4"\n#EXTINF:6,\nd\n#EXT-X-ENDLIST\n'
    )
    assert [s.encrypted for s in playlist.segments] == ["", "AES-128", "", ""]
    assert [s.gap for s in playlist.segments] == [False, False, True, False]
    assert [s.init is not None for s in playlist.segments] == [False, False, False, True]
    assert playlist.ended


def test_parse_when_low_latency_tags_are_there_then_they_are_passed_over():
    playlist = media(
        "#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=0.5\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXTINF:4,\na.ts\n"
        '#EXT-X-PART:DURATION=0.5,URI="a.0.ts"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="a.1.ts"\n'
    )
    assert playlist.end == 1


def test_parse_when_it_is_a_master_then_variants_and_audio_are_known():
    playlist = master(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",DEFAULT=NO,URI="en.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="de, at",DEFAULT=YES,URI="de.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="x",URI="s.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1000,CODECS="avc1.42001f,mp4a.40.2",AUDIO="a"\nlow.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=9000,CODECS="av01.0.05M.08,mp4a.40.2"\nav1.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=5000,CODECS="hvc1.1.6.L93.90, mp4a.40.2",AUDIO="a"\n'
        "hi.m3u8\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\naudio.m3u8\n'
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=99999,URI="i.m3u8"\n'
    )
    assert playlist.best() == (
        "https://cdn.example/live/hi.m3u8",
        "https://cdn.example/live/de.m3u8",
    )


def test_best_when_the_group_has_no_uri_then_the_sound_is_in_the_variant():
    playlist = master(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",DEFAULT=YES\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nx.m3u8\n'
    )
    assert playlist.best()[1] is None


def test_best_when_no_variant_can_be_recorded_then_it_is_unsupported():
    with pytest.raises(SourceUnsupported, match=r"H\.264"):
        master('#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="vp09.00.10.08"\nx.m3u8\n').best()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#EXTM3U8\n",
        "<html>",
        "#EXTM3U\n#EXTINF:6,\na.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:0\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:nan\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\na.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:-1,\na.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:inf,\na.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:-3\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:" + "9" * 30 + "\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n#EXT-X-BYTERANGE:50\na.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n#EXT-X-BYTERANGE:0@0\na.ts\n",
        '#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:BYTERANGE="1@0"\n',
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
    ],
)
def test_parse_when_the_playlist_breaks_the_rules_then_it_is_malformed(text):
    with pytest.raises(SourceMalformed):
        parse(text.encode(), URL)


def test_parse_when_it_uses_variables_then_it_is_unsupported():
    with pytest.raises(SourceUnsupported):
        media('#EXT-X-DEFINE:NAME="x",VALUE="y"\n')


TAGS = st.sampled_from(
    [
        "#EXT-X-TARGETDURATION:6", "#EXT-X-MEDIA-SEQUENCE:7", "#EXTINF:6,", "a.ts", "#EXT-X-GAP",
        "#EXT-X-BYTERANGE:9@1", "#EXT-X-BYTERANGE:9", '#EXT-X-MAP:URI="i"', "#EXT-X-ENDLIST",
        "#EXT-X-STREAM-INF:BANDWIDTH=1", "#EXT-X-KEY:METHOD=AES-128", "http://[::1", "//x", "?",
    ]
)  # fmt: skip


@given(st.lists(TAGS | st.text(max_size=20), max_size=30))
def test_parse_when_the_lines_are_noise_then_a_playlist_or_a_source_error_comes_back(lines):
    with contextlib.suppress(SourceError):
        parse("\n".join(["#EXTM3U", *lines]).encode(), URL)


def test_part_when_shown_then_its_url_is_not():
    assert "token" not in repr(media("#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts?token=1\n"))
