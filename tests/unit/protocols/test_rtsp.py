"""RTSP: the conversation, authentication, interleaved media, and what servers get wrong."""

import hashlib
import json
from pathlib import Path

import pytest

from everreel.errors import (
    SourceDenied,
    SourceEnded,
    SourceNotFound,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import AccessUnit, ClockReference, Medium, TrackFormat
from everreel.protocols.rtsp import RtspPlay
from tests.unit.protocols.flv_bytes import drive
from tests.unit.protocols.rtp_bytes import rtp, sender_report, unit, units
from tests.unit.protocols.rtsp_server import (
    IDR,
    SDP,
    URL,
    Server,
    converse,
    framed,
    picture,
    playing,
    sound,
)

STREAMS = Path(__file__).parents[2] / "data" / "streams"
RECORDED = ["rtsp-gst-h264-aac.bin", "rtsp-gst-h264-opus.bin", "rtsp-gst-h265-aac.bin"]


# ---------------------------------------------------------------------- recorded streams


@pytest.mark.parametrize("size", [1, 7, 1448, 1 << 20])
@pytest.mark.parametrize("name", RECORDED)
def test_receive_when_a_recorded_stream_is_replayed_then_gives_every_unit(name, size):
    data = (STREAMS / name).read_bytes()
    wanted = json.loads((STREAMS / f"{name}.json").read_text())["units"]
    parser = RtspPlay("rtsp://127.0.0.1/clip")
    events, _ = drive(parser, [data[at : at + size] for at in range(0, len(data), size)])
    scale = {e.medium: e.timescale for e in events if isinstance(e, TrackFormat)}
    for medium in Medium:
        got = [u for u in units(events) if u.medium is medium]
        known = [u for u in wanted if u["medium"] == medium.value]
        assert [(u.keyframe, hashlib.sha256(u.data).hexdigest()[:16]) for u in got] == [
            (u["keyframe"], u["sha"]) for u in known
        ]
        for one, other in zip(got, known, strict=True):
            ticks = (one.pts - got[0].pts + (1 << 31)) % (1 << 32) - (1 << 31)
            assert abs(ticks * 1_000_000 / scale[medium] - other["pts_us"]) <= 2
    assert {e.medium for e in events if isinstance(e, ClockReference)} == set(Medium)


# ---------------------------------------------------------------------- the conversation


def test_converse_when_all_goes_well_then_sets_up_both_tracks_and_plays():
    server = Server()
    parser = RtspPlay("rtsp://cam.example/live")
    events = converse(parser, server)
    assert [(method, url) for method, url, _ in server.requests] == [
        ("OPTIONS", URL),
        ("DESCRIBE", URL),
        ("SETUP", f"{URL}/trackID=0"),
        ("SETUP", f"{URL}/trackID=1"),
        ("PLAY", f"{URL}/"),
    ]
    assert server.requests[3][2]["Transport"] == "RTP/AVP/TCP;unicast;interleaved=2-3"
    assert server.requests[4][2]["Session"] == "42"
    assert [event.medium for event in events] == [Medium.VIDEO, Medium.AUDIO]


def test_receive_when_media_comes_then_references_precede_the_units_of_their_track():
    events = playing().receive(picture(1, 9000) + sound(7, 48_000) + sound(8, 49_024))
    assert events == [
        ClockReference(Medium.VIDEO, 9000, 0, promised=True),
        AccessUnit(Medium.VIDEO, 9000, None, True, unit(IDR)),
        ClockReference(Medium.AUDIO, 48_000, 0, promised=True),
        AccessUnit(Medium.AUDIO, 48_000, None, True, b"aac"),
        AccessUnit(Medium.AUDIO, 49_024, None, True, b"aac"),
    ]


def test_receive_when_media_overtakes_the_reply_to_play_then_nothing_is_lost():
    server = Server()
    parser = RtspPlay(URL)
    events = []
    while data := parser.data_to_send():
        early = picture(1, 9000) + sound(7, 48_000) if b"PLAY" in data else b""
        events += parser.receive(early + server.answer(data))
    assert [type(e).__name__ for e in events] == [
        "TrackFormat", "TrackFormat", "ClockReference", "AccessUnit", "ClockReference",
        "AccessUnit",
    ]  # fmt: skip


def test_receive_when_sender_reports_follow_rtp_info_then_the_clock_does_not_jump():
    parser = playing()
    parser.receive(picture(1, 9000) + sound(7, 48_000))
    ntp = 3_900_000_000 << 32
    first = parser.receive(framed(1, sender_report(9000 + 90_000, ntp)))
    assert first == [ClockReference(Medium.VIDEO, 99_000, 1_000_000)]
    # The sound's own report says it lies 250 ms later than RTP-Info had it.
    second = parser.receive(framed(3, sender_report(48_000 + 36_000, ntp, ssrc=7)))
    assert second == [ClockReference(Medium.AUDIO, 84_000, 1_000_000)]


def test_receive_when_rtp_info_leaves_a_track_out_then_its_early_report_ties_it():
    parser = playing(rtp_info=f"url={URL}/trackID=0;seq=1;rtptime=9000")
    parser.receive(picture(1, 9000) + sound(7, 48_000))
    ntp = 3_900_000_000 << 32
    assert parser.receive(framed(3, sender_report(84_000, ntp, ssrc=7))) == []
    assert parser.receive(framed(1, sender_report(99_000, ntp))) == [
        ClockReference(Medium.AUDIO, 84_000, 1_000_000),
        ClockReference(Medium.VIDEO, 99_000, 1_000_000),
    ]


def test_receive_when_a_track_reports_before_it_sends_anything_then_rtp_info_counts_for_more():
    parser = playing()
    ntp = 3_900_000_000 << 32
    parser.receive(picture(1, 9000) + framed(1, sender_report(99_000, ntp)))
    assert parser.receive(framed(3, sender_report(84_000, ntp, ssrc=7))) == []
    assert parser.receive(sound(7, 48_000))[0] == ClockReference(Medium.AUDIO, 48_000, 0, True)
    measured = parser.receive(framed(3, sender_report(84_000, ntp, ssrc=7)))
    assert measured == [ClockReference(Medium.AUDIO, 84_000, 1_000_000)]


def test_receive_when_a_track_without_rtp_info_reports_early_then_that_is_only_a_promise():
    parser = playing(rtp_info="")
    early, late = (framed(1, sender_report(5, at << 32)) for at in (1, 2))
    told = [parser.receive(each)[-1] for each in (early, picture(1, 5) + late)]
    assert told == [
        ClockReference(Medium.VIDEO, 5, 1_000_000, promised=True),
        ClockReference(Medium.VIDEO, 5, 2_000_000),
    ]


def test_receive_when_there_is_no_rtp_info_then_sender_reports_give_the_clock():
    parser = playing(rtp_info="")
    events = parser.receive(picture(1, 5) + framed(1, sender_report(5, 1 << 32)))
    assert events[-1] == ClockReference(Medium.VIDEO, 5, 1_000_000)


def test_receive_when_rtp_info_cannot_be_true_then_it_is_not_used():
    parser = playing()
    assert not any(isinstance(e, ClockReference) for e in parser.receive(picture(1, 90_000_000)))


def test_tick_when_half_the_timeout_has_passed_then_keeps_the_session_alive():
    server = Server(GET_PARAMETER=["400 Bad\r\n"])
    parser = RtspPlay(URL)
    converse(parser, server)
    for now in range(61):
        parser.tick(float(now))
        converse(parser, server)
    assert server.methods()[5:] == ["GET_PARAMETER", "OPTIONS", "OPTIONS", "OPTIONS"]
    assert len(server.replies["GET_PARAMETER"]) == 0


def test_tick_when_media_flows_then_reports_reception():
    parser = playing()
    parser.receive(picture(1, 9000))
    parser.tick(0.0)
    parser.tick(5.0)
    sent = parser.data_to_send()
    assert sent[:2] == b"\x24\x01"
    assert sent[4:6] == b"\x81\xc9"


def test_goodbye_when_playing_then_tears_the_session_down():
    parser = playing()
    assert parser.goodbye().startswith(f"TEARDOWN {URL}/ RTSP/1.0\r\n".encode())
    assert parser.goodbye() == b""
    assert RtspPlay(URL).goodbye() == b""


def test_receive_when_the_server_asks_then_it_is_answered():
    parser = playing()
    parser.receive(b"GET_PARAMETER rtsp://x RTSP/1.0\r\nCSeq: 9\r\n\r\n")
    assert parser.data_to_send().startswith(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n")
    parser.receive(b"FLY rtsp://x RTSP/1.0\r\nCSeq: 10\r\n\r\n")
    assert parser.data_to_send().startswith(b"RTSP/1.0 501 ")


def test_receive_when_the_server_tears_down_then_the_stream_has_ended():
    with pytest.raises(SourceEnded):
        playing().receive(b"TEARDOWN rtsp://x RTSP/1.0\r\nCSeq: 9\r\n\r\n")


def test_receive_when_the_server_moves_the_stream_then_tells_where_to():
    parser = RtspPlay(URL)
    with pytest.raises(SourceUnsupported):
        converse(parser, Server(DESCRIBE=["302 Found\r\nLocation: rtsp://other.example/x?k=1\r\n"]))
    assert parser.redirect == "rtsp://other.example/x?k=1"
    moved = playing()
    with pytest.raises(SourceEnded):
        moved.receive(b"REDIRECT * RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://new.example/\r\n\r\n")
    assert moved.redirect == "rtsp://new.example/"


@pytest.mark.parametrize(
    ("method", "status", "error"),
    [
        ("DESCRIBE", "404 Not Found", SourceNotFound),
        ("DESCRIBE", "403 Forbidden", SourceDenied),
        ("DESCRIBE", "503 Unavailable", SourceUnreachable),
        ("SETUP", "461 Unsupported Transport", SourceUnsupported),
        ("PLAY", "454 Session Not Found", SourceEnded),
        ("DESCRIBE", "401 Unauthorized", SourceDenied),
    ],
)
def test_converse_when_the_server_refuses_then_says_what_and_why(method, status, error):
    server = Server()
    server.replies[method] = [f"{status}\r\n"]
    with pytest.raises(error, match=r"cam\.example"):
        converse(RtspPlay(URL), server)


def test_converse_when_options_is_not_known_then_goes_on():
    server = Server(OPTIONS=["501 Not Implemented\r\n"])
    converse(RtspPlay(URL), server)
    assert server.methods()[-1] == "PLAY"


def test_converse_when_only_other_codecs_are_offered_then_names_them():
    sdp = "v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    with pytest.raises(SourceUnsupported, match="PCMU, VP8"):
        converse(RtspPlay(URL), Server(sdp))


def test_converse_when_latm_is_beside_video_then_plays_the_video_and_tells():
    sdp = SDP.replace("mpeg4-generic", "MP4A-LATM")
    parser = RtspPlay(URL)
    server = Server(sdp)
    converse(parser, server)
    assert server.methods().count("SETUP") == 1
    assert parser.ignored == ("MP4A-LATM",)


def test_converse_when_the_server_insists_on_udp_then_says_so():
    reply = "200 OK\r\nTransport: RTP/AVP;unicast;client_port=1-2\r\nSession: 1\r\n"
    with pytest.raises(SourceUnsupported, match="TCP"):
        converse(RtspPlay(URL), Server(SETUP=[reply]))


def test_converse_when_the_server_gives_other_channels_then_uses_them():
    replies = [
        f"200 OK\r\nTransport: RTP/AVP/TCP;interleaved={c}-{c + 1}\r\nSession: 1\r\n"
        for c in (8, 4)
    ]
    parser = playing(SETUP=replies)
    assert len(units(parser.receive(framed(8, rtp(1, 9000, IDR, marker=True))))) == 1
