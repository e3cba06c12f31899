"""HLS under the `Source` port: holes, ranges, and playlists that point where they must not."""

import json
import socket
from itertools import pairwise
from pathlib import Path

import pytest

from everreel.clock import ManualClock
from everreel.errors import (
    SourceEnded,
    SourceMalformed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.protocols.guard import Guard
from everreel.protocols.hls import HlsSource
from everreel.protocols.http_client import HttpClient
from tests.contract.source_server import (
    HLS_MP4,
    HLS_TS,
    expected_units,
    headers_of,
    read_to_the_end,
    reply,
    request,
    sized,
    timed_reads,
    units,
)

HLS_OPUS = HLS_MP4.with_name("hls-ffmpeg-h264-opus.mp4")


class Files:
    """A web server of files that a test changes; keeps connections and notes what was asked.

    Attributes:
        files: what is served, by path.
        away: paths for which there is only HTTP 503 at the moment; "/" for all.
        asked: the paths.
    """

    def __init__(self, files: dict[str, bytes | str]) -> None:
        self.files = files
        self.away: set[str] = set()
        self.asked: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        while True:
            path = request(connection)
            self.asked.append(path)
            found = self.files.get(path)
            if self.away & {"/", path}:
                connection.sendall(reply("503 Service Unavailable", "Content-Length: 0\r\n"))
            elif found is None:
                connection.sendall(reply("404 Not Found", "Content-Length: 0\r\n"))
            else:
                body = found.encode() if isinstance(found, str) else found
                connection.sendall(sized(body))


def playlist(first: int, names: list[str], *, ended: bool = False, target: int = 1) -> str:
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{target}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    for name in names:
        lines += [f"#EXTINF:{target},", name]
    return "\n".join([*lines, "#EXT-X-ENDLIST"] if ended else lines) + "\n"


def test_read_when_it_is_hls_then_segments_come_in_order_over_one_connection(peer, opened):
    segment = HLS_TS.read_bytes()
    files = Files(
        {
            "/m.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive/i.m3u8\n",
            "/live/i.m3u8": playlist(7, ["a.ts", "b.ts"], ended=True),
            "/live/a.ts": segment,
            "/live/b.ts": segment,
        }
    )
    one = peer(files)
    source = opened(f"http://127.0.0.1:{one.port}/m.m3u8")
    events, error = read_to_the_end(source)
    assert isinstance(error, SourceEnded)
    assert files.asked == ["/m.m3u8", "/live/i.m3u8", "/live/a.ts", "/live/b.ts"]
    assert len(one.accepted) == 1
    assert units(events) == 2 * expected_units(HLS_TS)
    assert isinstance(events[0], TrackFormat)


def hls(port: int, path: str = "/i.m3u8", **options) -> HlsSource:
    client = HttpClient(Guard(allow_private=True), clock=options.get("clock"))
    return HlsSource(client, f"http://127.0.0.1:{port}{path}", **options)


def test_read_when_the_playlist_grows_ends_and_goes_on_then_it_is_followed_with_holes_declared(
    peer,
):
    segment = HLS_TS.read_bytes()
    files = Files({f"/{n}.ts": segment for n in range(20)})
    files.files["/i.m3u8"] = playlist(0, ["0.ts", "1.ts"])
    clock = ManualClock()
    source = hls(peer(files).port, clock=clock)
    assert units(timed_reads(source, 1.0)) == 2 * expected_units(HLS_TS)
    asked = len(files.asked)
    files.files["/i.m3u8"] = playlist(4, ["4.ts", "gone.ts", "6.ts", "7.ts"], ended=True)
    files.files["/7.ts"] = b""
    timed_reads(source, 0.3)
    assert len(files.asked) == asked
    events = _read_for(source, clock, 12)
    assert units(events) == 2 * expected_units(HLS_TS)
    assert [(missed.first, missed.count, missed.cause.value) for missed in source.missed] == [
        (2, 2, "left_playlist"),
        (5, 1, "not_found"),
        (7, 1, "failed"),
    ]
    assert files.asked.count("/gone.ts") == 3
    files.files["/i.m3u8"] = playlist(8, ["8.ts", "9.ts"])
    assert units(_read_for(source, clock, 5)) == 2 * expected_units(HLS_TS)
    source.close()


def _read_for(source: HlsSource, clock: ManualClock, seconds: int) -> list[SourceEvent]:
    events: list[SourceEvent] = []
    for _ in range(10 * seconds):
        events += source.read(0.04)
        clock.advance(0.1)
    return events


class Live:
    """A server of a growing playlist, and the sources that read it one after the other.

    Attributes:
        files: what is served.
        source: the newest source; the first has read the only two segments there are at first.
    """

    def __init__(self, peer) -> None:
        self.files = Files({f"/{n}.ts": HLS_TS.read_bytes() for n in range(9)})
        self.lists(0, 2)
        self.clock = ManualClock()
        self._port = peer(self.files).port
        self.source = hls(self._port, clock=self.clock)
        assert self.read(1) == 2

    def lists(self, first: int, end: int) -> None:
        """List segments from now on."""
        names = [f"{n}.ts" for n in range(first, end)]
        self.files.files["/i.m3u8"] = playlist(first, names)

    def read(self, seconds: int) -> int:
        """Let time pass; return how many segments came."""
        return units(_read_for(self.source, self.clock, seconds)) // expected_units(HLS_TS)

    def fail(self) -> None:
        """Let nothing be had until the source gives up."""
        self.files.away = {"/"}
        events, error = read_to_the_end(self.source, wait_s=0.02, clock=self.clock)
        assert not units(events)
        assert isinstance(error, SourceUnreachable)

    def resume(self) -> None:
        """Go on with a new source."""
        before, self.source = self.source, hls(self._port, clock=self.clock)
        self.source.resume(before)

    def missed(self) -> list[tuple[int, int, str]]:
        """First and count of what the newest source declared, and why."""
        return [(each.first, each.count, each.cause.value) for each in self.source.missed]


@pytest.fixture
def live(peer):
    one = Live(peer)
    yield one
    one.source.close()


@pytest.mark.parametrize("away", ["/", "/2.ts"])
def test_read_when_the_server_is_away_for_some_seconds_then_no_segment_is_given_up(live, away):
    live.lists(0, 4)
    live.files.away = {away}
    assert live.read(9) == 0
    live.files.away = set()
    assert live.read(3) == 2
    assert not live.missed()


@pytest.mark.parametrize("listed", [False, True], ids=["before-it-lists", "when-it-has-listed"])
def test_read_when_the_server_was_away_for_long_then_the_next_source_goes_on_where_we_stopped(
    live, listed
):
    if listed:
        live.lists(0, 3)
        live.files.away = {"/2.ts"}
        assert live.read(2) == 0
    live.fail()
    live.resume()
    live.fail()
    live.files.away = set()
    live.files.asked.clear()
    live.lists(1, 6)
    live.resume()
    assert live.read(2) == 4
    assert live.files.asked[:5] == ["/i.m3u8", "/2.ts", "/3.ts", "/4.ts", "/5.ts"]
    assert not live.missed()


def test_read_when_the_server_was_away_for_too_long_then_what_it_lists_no_more_is_declared(live):
    live.fail()
    live.files.away = set()
    live.lists(5, 9)
    live.resume()
    assert live.read(2) == 4
    assert live.missed() == [(2, 3, "left_playlist")]


def test_read_when_one_segment_only_cannot_be_had_then_it_is_declared_and_the_rest_is_read(live):
    live.lists(0, 4)
    live.files.away = {"/2.ts"}
    assert live.read(14) == 1
    assert live.missed() == [(2, 1, "failed")]


def test_read_when_it_is_to_reach_back_then_it_begins_as_early_as_the_playlist_lists(peer, opened):
    segment = HLS_TS.read_bytes()
    files = Files({f"/{n}.ts": segment for n in range(20)})
    files.files["/i.m3u8"] = playlist(0, [f"{n}.ts" for n in range(20)])
    url = f"http://127.0.0.1:{peer(files).port}/i.m3u8"
    for back_s, first in ((0.0, 17), (7.5, 12), (1000.0, 0)):
        files.asked.clear()
        source = opened(url)
        source.reach_back(back_s)
        assert units(timed_reads(source, 0.5))
        assert files.asked[1] == f"/{first}.ts"


def test_read_when_every_segment_is_missing_then_it_is_not_found(peer):
    files = Files({"/i.m3u8": playlist(0, ["a.ts", "b.ts", "c.ts", "d.ts"], ended=True)})
    clock = ManualClock()
    source = hls(peer(files).port, clock=clock)
    _, error = read_to_the_end(source, wait_s=0.02, clock=clock)
    assert isinstance(error, SourceNotFound)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("#EXTINF:1,\nhttp://169.254.169.254/latest\n", SourceRefused),
        ("#EXTINF:1,\nfile:///etc/passwd\n", SourceRefused),
        ("#EXTINF:1,\nhttp://2852039166/\n", SourceRefused),
        ('#EXT-X-MAP:URI="http://169.254.100.1/"\n#EXTINF:1,\na.m4s\n', SourceRefused),
        ('#EXT-X-KEY:METHOD=AES-128,URI="http://169.254.169.254/k"\n#EXTINF:1,\na.ts\n',
         SourceUnsupported),
        ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="/key"\n#EXTINF:1,\na.ts\n', SourceUnsupported),
    ],
)  # fmt: skip
def test_read_when_a_playlist_points_where_it_must_not_then_it_is_refused(peer, lines, expected):
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + lines + "#EXT-X-ENDLIST\n"
    files = Files({"/i.m3u8": text, "/a.ts": HLS_TS.read_bytes(), "/key": bytes(16)})
    source = hls(peer(files).port)
    _, error = read_to_the_end(source, 5.0)
    assert isinstance(error, expected)
    assert files.asked == ["/i.m3u8"]


def test_read_when_a_redirected_segment_points_inside_then_it_is_refused(peer):
    def serve(connection: socket.socket) -> None:
        while True:
            if request(connection).endswith(".m3u8"):
                connection.sendall(sized(playlist(0, ["a.ts"], ended=True).encode()))
            else:
                connection.sendall(reply("302 Found", "Location: http://169.254.169.254/\r\n"))

    source = hls(peer(serve).port)
    _, error = read_to_the_end(source, 5.0)
    assert isinstance(error, SourceRefused)


def test_read_when_segments_are_byte_ranges_then_both_kinds_of_servers_serve_them(peer):
    segment = HLS_TS.read_bytes()
    text = (
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
        f"#EXTINF:1,\n#EXT-X-BYTERANGE:{len(segment)}@188\nall.ts\n"
        f"#EXTINF:1,\n#EXT-X-BYTERANGE:{len(segment)}\nall.ts\n#EXT-X-ENDLIST\n"
    )
    whole = bytes(188) + segment * 2
    ranges: list[bytes] = []

    def partial(connection: socket.socket) -> None:
        while True:
            head = headers_of(connection)
            if b".m3u8" in head:
                connection.sendall(sized(text.encode()))
                continue
            wanted = head.lower().split(b"range: bytes=")[1].split(b"\r\n")[0]
            ranges.append(wanted)
            first, last = (int(number) for number in wanted.split(b"-"))
            part = whole[first : last + 1]
            connection.sendall(
                reply("206 Partial Content", f"Content-Length: {len(part)}\r\n", part)
            )

    for serve in (partial, Files({"/i.m3u8": text, "/all.ts": whole})):
        source = hls(peer(serve).port)
        events, error = read_to_the_end(source)
        assert isinstance(error, SourceEnded)
        assert units(events) == 2 * expected_units(HLS_TS)
        assert source.missed == []
    assert len(ranges) == 2


def fmp4(stream: Path = HLS_MP4) -> tuple[bytes, list[bytes]]:
    """The init section and the segments of a captured fMP4 stream."""
    data = stream.read_bytes()
    parts = []
    for size in json.loads(stream.with_name(stream.name + ".json").read_text())["part_bytes"]:
        parts.append(data[:size])
        data = data[size:]
    return parts[0], parts[1:]


def test_read_when_segments_are_fmp4_then_the_init_section_is_fetched_once(peer):
    init, segments = fmp4()
    files = Files({f"/{n}.m4s": segment for n, segment in enumerate(segments)})
    files.files["/init.mp4"] = init
    names = [f"{n}.m4s" for n in range(len(segments))]
    files.files["/i.m3u8"] = playlist(0, names, ended=True).replace(
        "#EXT-X-MEDIA-SEQ", '#EXT-X-MAP:URI="init.mp4"\n#EXT-X-MEDIA-SEQ'
    )
    events, error = read_to_the_end(hls(peer(files).port))
    assert isinstance(error, SourceEnded)
    assert units(events) == expected_units(HLS_MP4)
    assert files.asked.count("/init.mp4") == 1
    assert [type(event) for event in events[:2]] == [TrackFormat, TrackFormat]


@pytest.mark.parametrize("how", ["marked", "counted-anew", "opened-anew"])
def test_read_when_an_init_section_is_another_under_the_same_name_then_it_is_fetched_again(
    peer, how
):
    (init, segments), (new_init, new_segments) = fmp4(), fmp4(HLS_OPUS)
    head = '#EXT-X-MAP:URI="init.mp4"\n#EXT-X-MEDIA-SEQ'
    files = Files({"/init.mp4": init, "/0.m4s": segments[0], "/1.m4s": segments[1]})
    files.files["/i.m3u8"] = playlist(7, ["0.m4s", "1.m4s"]).replace("#EXT-X-MEDIA-SEQ", head)
    clock = ManualClock()
    one = peer(files)
    source = hls(one.port, clock=clock)
    known = {event.codec for event in _read_for(source, clock, 2) if isinstance(event, TrackFormat)}
    if how == "opened-anew":
        files.away = {"/"}
        read_to_the_end(source, wait_s=0.02, clock=clock)
        files.away = set()
        before, source = source, hls(one.port, clock=clock)
        source.resume(before)
    files.files |= {"/init.mp4": new_init, "/2.m4s": new_segments[0]}
    now = playlist(0 if how == "counted-anew" else 9, ["2.m4s"])
    if how == "marked":
        now = now.replace("#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF")
    files.files["/i.m3u8"] = now.replace("#EXT-X-MEDIA-SEQ", head)
    events = _read_for(source, clock, 4)
    source.close()
    assert known == {Codec.H264, Codec.AAC}
    assert {e.codec for e in events if isinstance(e, TrackFormat)} == {Codec.H264, Codec.OPUS}


def test_read_when_a_segment_behind_a_discontinuity_begins_without_a_keyframe_then_all_is_kept(
    peer,
):
    """So nginx cuts where the publisher's clock leaps: the group of pictures runs on."""
    segment = HLS_TS.read_bytes()
    packets = [segment[at : at + 188] for at in range(0, len(segment), 188)]
    pids = [int.from_bytes(packet[1:3], "big") & 0x1FFF for packet in packets]
    pictures = [at for at, pid in enumerate(pids) if pid == 256 and packets[at][1] & 0x40]
    tables = [packets[pids.index(pid)] for pid in (0, 4097)]
    rest = b"".join([*tables, *packets[pictures[1] :]])
    listed = playlist(0, ["0.ts", "1.ts"], ended=True)
    head, second = listed[: listed.rindex("#EXTINF")], listed[listed.rindex("#EXTINF") :]
    files = Files({"/0.ts": segment, "/1.ts": rest})
    files.files["/i.m3u8"] = f"{head}#EXT-X-DISCONTINUITY\n{second}"
    events, _ = read_to_the_end(hls(peer(files).port))
    video = [e for e in events if isinstance(e, AccessUnit) and e.medium is Medium.VIDEO]
    assert len(pictures) > 2
    assert len(video) == 2 * len(pictures) - 1


def test_read_when_a_playlist_has_ended_and_others_recorded_it_then_it_may_go_on(peer):
    files = Files({"/i.m3u8": playlist(0, ["0.ts"], ended=True), "/0.ts": HLS_TS.read_bytes()})
    clock = ManualClock()
    source = hls(peer(files).port, clock=clock)
    source.reach_back(10.0)
    assert units(_read_for(source, clock, 3)) == expected_units(HLS_TS)
    files.files |= {"/i.m3u8": playlist(0, ["0.ts", "1.ts"]), "/1.ts": HLS_TS.read_bytes()}
    assert units(_read_for(source, clock, 3)) == expected_units(HLS_TS)
    source.close()


def test_read_when_the_sound_is_apart_then_both_playlists_are_followed_side_by_side(peer):
    segment = HLS_TS.read_bytes()
    files = Files({f"/{kind}{n}.ts": segment for kind in "av" for n in range(3)})
    files.files["/i.m3u8"] = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="x",DEFAULT=YES,URI="a.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="g"\nv.m3u8\n'
    )
    for kind in "av":
        names = [f"{kind}{n}.ts" for n in range(3)]
        files.files[f"/{kind}.m3u8"] = playlist(5, names, ended=True)
    events, error = read_to_the_end(hls(peer(files).port))
    assert isinstance(error, SourceEnded)
    assert units(events) == 3 * expected_units(HLS_TS)
    assert [path for path in files.asked if path.endswith(".ts")] == [
        f"/{kind}{n}.ts" for n in range(3) for kind in "va"
    ]


def test_read_when_the_sound_is_apart_then_it_comes_with_the_pictures_of_its_time(peer):
    segment = HLS_TS.read_bytes()
    files = Files({"/v0.ts": segment, "/a0.ts": segment})
    files.files["/i.m3u8"] = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="x",DEFAULT=YES,URI="a.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="g"\nv.m3u8\n'
    )
    for kind in "av":
        files.files[f"/{kind}.m3u8"] = playlist(5, [f"{kind}0.ts"], ended=True)
    events, _ = read_to_the_end(hls(peer(files).port))
    got = [event for event in events if isinstance(event, AccessUnit)]
    stamps = [event.pts if event.dts is None else event.dts for event in got]
    assert {event.medium for event in got} == set(Medium)
    behind = [(a, b) for a, b in pairwise(stamps) if b < a]
    assert not behind, behind[:3]


def test_read_when_a_kept_connection_was_closed_then_a_new_one_is_made(peer):
    segment = HLS_TS.read_bytes()
    bodies = {"/i.m3u8": playlist(0, ["a.ts"], ended=True).encode(), "/a.ts": segment}

    def once(connection: socket.socket) -> None:
        connection.sendall(sized(bodies[request(connection)]))

    one = peer(once)
    events, error = read_to_the_end(hls(one.port))
    assert isinstance(error, SourceEnded)
    assert units(events) == expected_units(HLS_TS)
    assert len(one.accepted) == 2


def test_read_when_a_segment_is_huge_then_it_is_not_swallowed(peer):
    def serve(connection: socket.socket) -> None:
        while True:
            if request(connection).endswith(".m3u8"):
                connection.sendall(sized(playlist(0, ["a.ts", "b.ts", "c.ts"]).encode()))
            else:
                connection.sendall(reply("200 OK", "Content-Length: 99999999999\r\n"))

    clock = ManualClock()
    source = hls(peer(serve).port, clock=clock)
    _, error = read_to_the_end(source, wait_s=0.02, clock=clock)
    assert isinstance(error, SourceMalformed)
    assert "larger" in error.message
