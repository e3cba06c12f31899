"""Joining a wire and a parser: order of events and errors, timeouts, coalescing."""

import pytest

from everreel.clock import ManualClock
from everreel.errors import SourceEnded, SourceError, SourceMalformed, SourceUnreachable
from everreel.media.access_unit import AccessUnit, Codec, Medium, SourceEvent, TrackFormat
from everreel.protocols.source import SniffedSource, SocketSource

FORMAT = TrackFormat(Codec.AAC, 1000, 0, b"\x11\x90", sample_rate=48000, channels=2)


def unit(byte: int) -> AccessUnit:
    return AccessUnit(Medium.AUDIO, byte, byte, True, bytes([byte]))


class Wire:
    """Delivers pieces one by one; an error among them is raised, None is a wait in vain."""

    def __init__(self, *pieces: bytes | SourceError | None) -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.closed = 0
        self.patience_s: float | None = None

    def recv(self, wait_s: float) -> bytes | None:
        piece = self.pieces.pop(0) if self.pieces else None
        if isinstance(piece, SourceError):
            raise piece
        return piece

    def send(self, data: bytes) -> None:
        self.sent += data

    def coalesce(self, patience_s: float) -> None:
        self.patience_s = patience_s

    def close(self) -> None:
        self.closed += 1


class Bytewise:
    """A protocol in which every byte is a unit, `!` is nonsense and `.` asks for an answer."""

    def __init__(self, held: int = 0) -> None:
        self.out = b"hello"
        self.ticks: list[float] = []
        self.held = held

    def receive(self, data: bytes) -> list[SourceEvent]:
        if b"!" in data:
            raise SourceMalformed("nonsense")
        self.out += b"ack" * data.count(b".")
        return [unit(byte) for byte in data if byte != 0x2E]

    def data_to_send(self) -> bytes:
        out, self.out = self.out, b""
        return out

    def tick(self, now_s: float) -> None:
        self.ticks.append(now_s)

    def end_of_input(self) -> list[SourceEvent]:
        held, self.held = self.held, 0
        return [unit(byte) for byte in range(held)]


def source(wire: Wire, protocol: Bytewise | None = None, **options) -> SocketSource:
    return SocketSource(wire, protocol or Bytewise(), where="rtmp://a.example/x", **options)


def test_read_when_bytes_arrive_then_their_events_come_and_answers_go_out():
    wire = Wire(b".", b"ab")
    joined = source(wire)
    assert joined.read(0.01) == [unit(97), unit(98)]
    assert wire.sent == b"helloack"
    assert joined.read(0.0) == ()


def test_read_when_units_flow_then_the_wire_may_gather():
    wire = Wire(b".", b"a")
    joined = source(wire)
    joined.read(0.0)
    assert wire.patience_s is None
    joined.read(0.0)
    assert wire.patience_s is not None


def test_read_when_a_head_was_read_before_then_it_is_parsed_first():
    wire = Wire(b"b")
    joined = source(wire, head=b"a")
    assert joined.read(0.0) == [unit(97)]
    assert joined.read(0.0) == [unit(98)]


def test_read_when_the_peer_closes_then_what_is_complete_comes_before_the_end():
    wire = Wire(b"a", b"")
    joined = source(wire, Bytewise(held=2))
    assert [*joined.read(0.0), *joined.read(0.0)] == [unit(97), unit(0), unit(1)]
    for _ in range(2):
        with pytest.raises(SourceEnded):
            joined.read(0.0)
    assert wire.closed


def test_read_when_the_peer_closes_before_anything_then_it_is_unreachable():
    with pytest.raises(SourceUnreachable):
        source(Wire(b"")).read(0.0)


def test_read_when_the_connection_breaks_then_what_is_complete_comes_before_the_reason():
    joined = source(Wire(b"a", SourceUnreachable("reset")), Bytewise(held=1))
    assert [*joined.read(0.0), *joined.read(0.0)] == [unit(97), unit(0)]
    with pytest.raises(SourceUnreachable, match="reset"):
        joined.read(0.0)


def test_read_when_the_parser_fails_then_the_wire_is_closed_and_the_error_stays():
    wire = Wire(b"a", b"!")
    joined = source(wire)
    joined.read(0.0)
    for _ in range(2):
        with pytest.raises(SourceMalformed):
            joined.read(0.0)
    assert wire.closed == 1


def test_read_when_nothing_ever_comes_then_it_is_unreachable_after_a_while():
    clock = ManualClock()
    joined = source(Wire(), clock=clock, first_data_s=3.0)
    clock.advance(3)
    assert joined.read(0.0) == ()
    clock.advance(1)
    with pytest.raises(SourceUnreachable, match="3 s"):
        joined.read(0.0)


def test_read_when_a_stream_that_flowed_says_nothing_more_then_it_is_to_be_opened_anew():
    clock = ManualClock()
    joined = source(Wire(b"a", None, b"b"), clock=clock)
    assert joined.read(0.0)
    clock.advance(15)
    assert joined.read(0.0) == ()
    assert joined.read(0.0)
    clock.advance(15)
    assert joined.read(0.0) == ()
    clock.advance(1)
    with pytest.raises(SourceUnreachable, match="nothing for 15 s"):
        joined.read(0.0)


def test_read_when_the_server_answered_and_nobody_publishes_then_silence_is_no_error():
    clock = ManualClock()
    protocol = Bytewise()
    joined = source(Wire(b"."), protocol, clock=clock)
    assert not joined.read(0.0)
    for _ in range(100):
        clock.advance(1)
        assert joined.read(0.0) == ()
    assert len(protocol.ticks) == 100


def test_sniffed_when_the_head_decides_then_the_chosen_source_reads_on():
    wire = Wire(b"x", None, b"yz", b"w")

    def choose(head: bytes, complete: bool) -> SocketSource | None:
        return source(wire, head=head) if len(head) >= 3 else None

    sniffed = SniffedSource(wire, choose, where="http://a.example/x")
    events = [event for _ in range(4) for event in sniffed.read(0.0)]
    assert events == [unit(byte) for byte in b"xyzw"]
    sniffed.close()
    sniffed.close()
    assert wire.closed


@pytest.mark.parametrize("pieces", [[b"x", b""], [b"x" * 5000, None]])
def test_sniffed_when_nothing_decides_then_it_is_malformed(pieces):
    sniffed = SniffedSource(Wire(*pieces), lambda head, complete: None, where="http://a.example/x")
    with pytest.raises(SourceMalformed):
        [sniffed.read(0.0) for _ in range(3)]


def test_sniffed_when_closed_then_it_has_ended():
    sniffed = SniffedSource(Wire(b"x"), lambda head, complete: None, where="http://a.example/x")
    sniffed.close()
    with pytest.raises(SourceEnded):
        sniffed.read(1.0)
