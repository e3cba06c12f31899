"""RTSP: any input gives events or a source error, in bounded memory."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everreel.errors import SourceEnded, SourceError, SourceMalformed, SourceUnreachable
from everreel.protocols.rtsp import RtspPlay
from tests.unit.protocols.flv_bytes import cut, damaged, drive
from tests.unit.protocols.rtp_bytes import sender_report
from tests.unit.protocols.rtsp_server import URL, Server, framed, picture, playing, sound


def transcript() -> bytes:
    """Everything a server sends in a short session."""
    server, parser, sent = Server(), RtspPlay(URL), b""
    while data := parser.data_to_send():
        reply = server.answer(data)
        sent += reply
        parser.receive(reply)
    media = b"".join(
        picture(n, 9000 + 3600 * n) + sound(7 + n, 48_000 + 1024 * n) for n in range(6)
    )
    return sent + media + framed(1, sender_report(9000, 1 << 33))


SESSION = transcript()


@given(cut(SESSION))
def test_receive_when_the_input_is_cut_anywhere_then_gives_the_same_events(pieces):
    assert drive(RtspPlay(URL), pieces) == drive(RtspPlay(URL), [SESSION])


@given(st.integers(0, len(SESSION)))
def test_receive_when_the_session_is_truncated_then_gives_the_beginning_of_its_events(size):
    events, _ = drive(RtspPlay(URL), [SESSION[:size]])
    full, _ = drive(RtspPlay(URL), [SESSION])
    assert events == full[: len(events)]


@settings(max_examples=300)
@given(damaged(SESSION), st.integers(1, 300))
def test_receive_when_bytes_are_damaged_then_gives_events_or_a_source_error(data, size):
    parser = RtspPlay(URL, "u", "p")
    drive(parser, [data[at : at + size] for at in range(0, len(data), size)])
    try:
        parser.tick(100.0)
        parser.goodbye()
    except SourceError:
        return


@given(st.binary(max_size=200))
def test_receive_when_bytes_are_arbitrary_then_gives_events_or_a_source_error(data):
    for lead in (b"", b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: "):
        drive(RtspPlay(URL, "u", "p"), [lead + data + b"\r\n\r\n"])


@pytest.mark.parametrize(
    ("sent", "match"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "RTSP"),
        (b"\x16\x03\x01", "neither"),
        (b"RTSP/1.0 200 OK\r\nX: " + b"a" * 20_000, "head"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n", "body"),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length"),
    ],
)
def test_receive_when_it_is_no_rtsp_server_then_says_so(sent, match):
    with pytest.raises(SourceMalformed, match=match):
        RtspPlay(URL).receive(sent)


def test_receive_when_the_server_floods_then_memory_stays_bounded():
    parser = playing()
    tracemalloc.start()
    with pytest.raises(SourceMalformed, match="faster"):
        parser.receive(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 20_000)
    early = RtspPlay(URL)
    for _ in range(200):
        early.receive(framed(0, b"x" * 60_000))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_end_of_input_when_it_comes_early_or_late_then_the_errors_differ():
    with pytest.raises(SourceUnreachable):
        RtspPlay(URL).end_of_input()
    parser = playing()
    assert parser.end_of_input() == []
    with pytest.raises(SourceEnded):
        parser.receive(b"")
