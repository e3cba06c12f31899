"""An RTMP play session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import (
    SourceDenied,
    SourceEnded,
    SourceMalformed,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnsupported,
)
from everreel.media.access_unit import AccessUnit, SourceEvent
from everreel.protocols import amf
from everreel.protocols.flv import HttpFlv
from everreel.protocols.rtmp import RtmpPlay, RtmpTarget, target
from everreel.protocols.rtmp_chunks import ChunkReader
from tests.unit.protocols.flv_bytes import (
    AUDIO,
    AVC_HEADER,
    IDR,
    STREAM,
    VIDEO,
    avc,
    cut,
    damaged,
    drive,
    flv_stream,
    flv_tag,
)
from tests.unit.protocols.rtmp_bytes import (
    CONNECTED,
    CREATED,
    GREETING,
    HANDSHAKE,
    PLAYING,
    chunks,
    command,
    message,
    session,
    status,
)

SESSION = session(STREAM)


def play(stream: str = "cam?token=s3cret") -> RtmpPlay:
    return RtmpPlay("live", stream, "rtmp://h/live")


def said(data: bytes) -> list[tuple[int, int, bytes]]:
    """Read what the client said after its handshake."""
    return list(ChunkReader().receive(data))


def units(events: list[SourceEvent]) -> list[AccessUnit]:
    return [event for event in events if isinstance(event, AccessUnit)]


@pytest.mark.parametrize(
    ("url", "app", "stream", "tc_url"),
    [
        ("rtmp://h/live/cam", "live", "cam", "rtmp://h/live"),
        ("rtmps://h:443/live/cam?a=b/c&d=1", "live", "cam?a=b/c&d=1", "rtmps://h:443/live"),
        ("rtmp://h/live/inst/cam", "live/inst", "cam", "rtmp://h/live/inst"),
        ("rtmp://h/live/inst/a/b", "live/inst", "a/b", "rtmp://h/live/inst"),
        ("rtmp://u:p@h:1936/live/cam", "live", "cam", "rtmp://h:1936/live"),
        ("rtmp://[::1]:1936/live/cam", "live", "cam", "rtmp://[::1]:1936/live"),
        ("rtmp://h/live?vhost=v/cam", "live?vhost=v", "cam", "rtmp://h/live?vhost=v"),
    ],
)
def test_target_when_a_url_is_taken_apart_then_follows_players(url, app, stream, tc_url):
    assert target(url) == RtmpTarget(app, stream, tc_url)


@pytest.mark.parametrize("url", ["rtmp://h", "rtmp://h/live", "rtmp://h/live/", "http://h/a/b", ""])
def test_target_when_the_stream_is_missing_then_is_refused(url):
    with pytest.raises(SourceRefused):
        target(url)


def test_data_to_send_when_new_then_is_the_handshake_once():
    parser = play()
    first = parser.data_to_send()
    assert (len(first), first[0], first[1:9]) == (1537, 3, bytes(8))
    assert parser.data_to_send() == b""


def test_receive_when_the_server_greets_then_asks_for_the_stream():
    parser = play()
    parser.data_to_send()
    parser.receive(b"\x03" + b"S" * 1536)
    reply = parser.data_to_send()
    assert reply[:1536] == b"S" * 1536
    [(kind, _, body)] = said(reply[1536:])
    connect = amf.decode(body)
    assert (kind, connect[:2]) == (20, ["connect", 1.0])
    assert isinstance(connect[2], dict)
    assert (connect[2]["app"], connect[2]["tcUrl"]) == ("live", "rtmp://h/live")

    parser.receive(bytes(1536) + CONNECTED)
    window, create = said(parser.data_to_send())
    assert window[0] == 5
    assert amf.decode(create[2]) == ["createStream", 2.0, None]

    parser.receive(CREATED)
    asked, buffer = said(parser.data_to_send())
    assert amf.decode(asked[2]) == ["play", 3.0, None, "cam?token=s3cret", -2000.0]
    assert (buffer[0], buffer[2].hex()) == (4, "00030000000100000bb8")


def test_receive_when_a_session_delivers_then_gives_what_the_flv_holds():
    wanted, _ = drive(HttpFlv(), [flv_stream()])
    assert drive(play(), [SESSION]) == (wanted, "SourceEnded")


@pytest.mark.parametrize("size", [1, 7, 128, 4096, 70000])
@pytest.mark.parametrize("repeat", [True, False])
def test_receive_when_chunk_sizes_and_extended_timestamps_vary_then_media_are_the_same(
    size, repeat
):
    tags = [(kind, stamp + 0xFFFFFF00, body) for kind, stamp, body in STREAM]
    tags = [(kind, stamp & 0xFFFFFFFF, body) for kind, stamp, body in tags]
    wanted, _ = drive(HttpFlv(), [flv_stream(tags)])
    assert drive(play(), [session(tags, size, repeat=repeat)])[0] == wanted


@given(cut(SESSION))
def test_receive_when_the_session_is_cut_anywhere_then_gives_the_same_events(pieces):
    assert drive(play(), pieces) == drive(play(), [SESSION])


@given(st.data())
def test_receive_when_bytes_are_damaged_then_every_cut_gives_the_same_end(data):
    stream = data.draw(damaged(SESSION[len(HANDSHAKE) :]))
    pieces = [HANDSHAKE, *data.draw(cut(stream))]
    assert drive(play(), pieces) == drive(play(), [HANDSHAKE + stream])


@given(st.binary(max_size=600))
def test_receive_when_bytes_are_random_then_never_fails_otherwise(noise):
    drive(play(), [noise])
    drive(play(), [HANDSHAKE + noise])
    drive(play(), [GREETING + message(6, VIDEO, 0, AVC_HEADER) + noise])


@given(st.data())
def test_receive_when_the_session_is_truncated_then_ends_with_a_source_error(data):
    length = data.draw(st.integers(0, len(SESSION)))
    _, end = drive(play(), [SESSION[:length]])
    assert end in {"SourceEnded", "SourceUnreachable"}


def test_receive_when_messages_are_interleaved_then_assembles_both():
    video = chunks(7, VIDEO, 40, avc(IDR * 100))
    audio = chunks(6, AUDIO, 41, b"\xaf\x01" + b"a" * 300)
    mixed = b"".join(b for pair in zip(video, audio, strict=False) for b in pair)
    rest = b"".join(video[len(audio) :] + audio[len(video) :])
    events, _ = drive(play(), [session(STREAM[:5]) + mixed + rest])
    assert [len(unit.data) for unit in units(events)[-2:]] == [300, 404]


def test_receive_when_a_message_is_an_aggregate_then_its_tags_are_shifted_to_its_timestamp():
    body = flv_tag(VIDEO, 1000, AVC_HEADER) + flv_tag(VIDEO, 1000, avc(IDR))
    body += flv_tag(VIDEO, 1040, avc(b"\x41x", key=False))
    events, _ = drive(play(), [GREETING + message(6, 22, 5000, body)])
    assert [unit.dts for unit in units(events)] == [5000, 5040]


def test_receive_when_an_aggregate_is_cut_then_is_malformed():
    with pytest.raises(SourceMalformed, match="aggregate"):
        play().receive(GREETING + message(6, 22, 0, flv_tag(VIDEO, 0, AVC_HEADER)[:-6]))


def test_receive_when_pinged_then_answers_with_the_same_time():
    parser = play()
    parser.receive(GREETING)
    parser.data_to_send()
    parser.receive(message(2, 4, 0, b"\x00\x06abcd"))
    assert said(parser.data_to_send()) == [(4, 0, b"\x00\x07abcd")]


def test_receive_when_the_window_is_half_full_then_acknowledges_all_bytes():
    parser = play()
    parser.receive(GREETING + message(2, 5, 0, (1000).to_bytes(4, "big")))
    parser.data_to_send()
    parser.receive(message(5, 18, 0, bytes(600)))
    [(kind, _, body)] = said(parser.data_to_send())
    total = len(GREETING) + 16 + len(message(5, 18, 0, bytes(600)))
    assert (kind, int.from_bytes(body, "big")) == (3, total)


def test_receive_when_the_peer_bandwidth_is_set_then_confirms_the_window():
    parser = play()
    parser.receive(GREETING)
    parser.data_to_send()
    parser.receive(message(2, 6, 0, b"\x00\x4c\x4b\x40\x02"))
    assert said(parser.data_to_send()) == [(5, 0, b"\x00\x4c\x4b\x40")]


def test_tick_when_nothing_was_said_for_long_then_acknowledges():
    parser = play()
    parser.tick(100.0)
    parser.receive(GREETING)
    parser.data_to_send()
    parser.tick(105.0)
    assert parser.data_to_send() == b""
    parser.tick(110.5)
    assert said(parser.data_to_send())[0][0] == 3


def test_receive_when_too_many_answers_are_asked_for_then_is_malformed():
    parser = play()
    with pytest.raises(SourceMalformed, match="answers"):
        parser.receive(GREETING + message(2, 4, 0, b"\x00\x06abcd") * 5000)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status("NetStream.Play.StreamNotFound", "no cam", "error"), SourceNotFound),
        (status("NetStream.Play.StreamNotFound"), SourceNotFound),
        (status("NetStream.Play.Failed", "Not Authorized", "error"), SourceDenied),
        (status("NetStream.Play.Failed", "token expired"), SourceDenied),
        (status("NetStream.Play.Failed", "out of capacity"), SourceUnreachable),
        (status("NetConnection.Connect.Closed"), SourceEnded),
        (command("_error", 1.0, None, {"level": "error", "code": "x.InvalidApp"}), SourceNotFound),
        (command("_error", 1.0, None, {"code": "x.Rejected"}), SourceUnreachable),
        (command("_error", 2.0), SourceUnreachable),
        (command("_error", 1.0, None, {"code": "x", "description": "access denied"}), SourceDenied),
        (command("close", 0.0, None), SourceEnded),
        (message(3, 17, 0, b"\x00" + amf.encode("close", 0.0, None)), SourceEnded),
    ],
)
def test_receive_when_the_server_refuses_then_says_how(reply, error):
    parser = play()
    parser.receive(HANDSHAKE + CONNECTED + CREATED)
    with pytest.raises(error):
        parser.receive(reply)


def test_receive_when_the_server_repeats_secrets_then_they_are_hidden():
    words = "Failed to play cam?token=s3cret at rtmp://u:p@h/live/cam?token=s3cret \x1b[1m (s3cret)"
    with pytest.raises(SourceUnreachable) as caught:
        play().receive(GREETING + status("NetStream.Play.Failed", words))
    assert "s3cret" not in caught.value.message
    assert "u:p" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert "Failed to play ***" in caught.value.message


@pytest.mark.parametrize(
    "notice",
    [
        status("NetStream.Play.UnpublishNotify"),
        status("NetStream.Play.Stop"),
        message(2, 4, 0, b"\x00\x01\x00\x00\x00\x01"),
    ],
)
def test_receive_when_the_publisher_leaves_and_returns_then_the_session_goes_on(notice):
    parser = play()
    parser.receive(session(STREAM) + notice)
    again = parser.receive(message(7, VIDEO, 0, AVC_HEADER) + message(7, VIDEO, 0, avc(IDR)))
    assert [unit.dts for unit in units(again)] == [0]


def test_receive_when_an_error_follows_media_then_media_come_first():
    parser = play()
    assert parser.receive(SESSION + message(6, AUDIO, 0, b"\xb2\x00"))
    with pytest.raises(SourceUnsupported, match="Speex"):
        parser.receive(b"")


def test_receive_when_the_server_speaks_http_then_is_malformed():
    with pytest.raises(SourceMalformed, match="RTMP"):
        play().receive(b"HTTP/1.1 400 Bad Request\r\n")


def test_receive_when_a_stream_is_created_without_a_number_then_is_malformed():
    with pytest.raises(SourceMalformed):
        play().receive(HANDSHAKE + CONNECTED + command("_result", 2.0, None, "one"))


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        (b"", "handshake"),
        (HANDSHAKE[:2000], "handshake"),
        (HANDSHAKE, "application"),
        (HANDSHAKE + CONNECTED, "creating"),
        (GREETING, "media"),
    ],
)
def test_end_of_input_when_nothing_was_delivered_then_says_when(heard, words):
    parser = play()
    parser.receive(heard)
    with pytest.raises(SourceUnreachable, match=words):
        parser.end_of_input()


def test_receive_when_play_starts_then_gives_no_events():
    parser = play()
    assert parser.receive(HANDSHAKE + CONNECTED + CREATED + PLAYING) == []
