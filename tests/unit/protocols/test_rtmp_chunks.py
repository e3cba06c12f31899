"""RTMP chunks."""

import tracemalloc
from collections import deque
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.protocols.rtmp_chunks import (
    MAX_CHUNK_STREAMS,
    MAX_HELD,
    ChunkReader,
    write_message,
)
from tests.unit.protocols.rtmp_bytes import chunks, message, set_chunk_size


def read(*pieces: bytes) -> list[tuple[int, int, bytes]]:
    reader = ChunkReader()
    return [found for piece in pieces for found in reader.receive(piece)]


def header(form: int, stamp: int, length: int = 0, kind: int = 9, number: int = 6) -> bytes:
    head = bytes([form << 6 | number])
    if form < 3:
        head += stamp.to_bytes(3, "big")
    if form < 2:
        head += length.to_bytes(3, "big") + bytes([kind])
    return head + (bytes(4) if form == 0 else b"")


@given(st.binary(max_size=1000), st.integers(2, 63))
def test_receive_when_a_message_was_written_then_reads_it(body, number):
    assert read(write_message(number, 20, 1, body)) == [(20, 0, body)]


@pytest.mark.parametrize(("number", "number_bytes"), [(64, 2), (319, 2), (319, 3), (65599, 3)])
def test_receive_when_the_chunk_stream_number_is_long_then_reads_it(number, number_bytes):
    data = message(number, 9, 7, bytes(300), number_bytes=number_bytes)
    assert read(data[:1], data[1:2], data[2:5], data[5:]) == [(9, 7, bytes(300))]


def test_receive_when_headers_are_shortened_then_inherits_what_is_left_out():
    data = (
        header(0, 1000, 2) + b"aa"
        + header(1, 40, 3, 8) + b"bbb"
        + header(2, 20) + b"ccc"
        + header(3, 0) + b"ddd"
    )  # fmt: skip
    assert read(data) == [(9, 1000, b"aa"), (8, 1040, b"bbb"), (8, 1060, b"ccc"), (8, 1080, b"ddd")]


def test_receive_when_a_delta_is_extended_then_adds_all_of_it():
    data = header(0, 5, 1) + b"a" + header(2, 0xFFFFFF) + (0x1000000).to_bytes(4, "big") + b"b"
    assert read(data) == [(9, 5, b"a"), (9, 0x1000005, b"b")]


def test_receive_when_timestamps_pass_32_bits_then_wrap():
    near = message(6, 9, 0xFFFFFFF0, b"a")
    assert read(near + header(1, 0x20, 1) + b"b")[1] == (9, 0x10, b"b")


@pytest.mark.parametrize("repeat", [True, False])
def test_receive_when_extended_timestamps_are_repeated_or_not_then_the_body_is_whole(repeat):
    body = bytes(range(256)) * 2
    assert read(message(6, 9, 0x1234567, body, repeat=repeat)) == [(9, 0x1234567, body)]


def test_receive_when_a_repeated_timestamp_is_absolute_then_the_body_is_whole():
    first = message(6, 9, 100, b"a")
    delta = header(1, 0xFFFFFF, 200) + (0x1000000).to_bytes(4, "big") + b"x" * 128
    rest = header(3, 0) + (0x1000000 + 100).to_bytes(4, "big") + b"y" * 72
    assert read(first + delta + rest)[1] == (9, 0x1000064, b"x" * 128 + b"y" * 72)


def test_receive_when_a_message_is_aborted_then_forgets_it():
    begun = chunks(6, 9, 0, bytes(300))[0]
    abort = message(2, 2, 0, (6).to_bytes(4, "big"))
    assert read(begun + abort + message(6, 9, 5, b"next")) == [(9, 5, b"next")]


def test_receive_when_a_new_message_begins_inside_another_then_forgets_the_first():
    begun = chunks(6, 9, 0, bytes(300))[0]
    assert read(begun + message(6, 9, 5, b"next")) == [(9, 5, b"next")]


def test_receive_when_the_chunk_size_changes_inside_a_message_then_obeys():
    first, *_ = chunks(6, 9, 0, bytes(300))
    assert read(first + set_chunk_size(4096) + header(3, 0) + bytes(172)) == [(9, 0, bytes(300))]


def test_receive_when_a_message_is_empty_then_gives_it():
    assert read(message(6, 9, 5, b"")) == [(9, 5, b"")]


@pytest.mark.parametrize("body", [bytes(4), b"\x80\x00\x00\x00", b"\x01"])
def test_receive_when_the_chunk_size_is_nothing_then_is_malformed(body):
    with pytest.raises(SourceMalformed):
        read(message(2, 1, 0, body))


@pytest.mark.parametrize("form", [2, 3])
def test_receive_when_a_chunk_stream_begins_without_header_then_is_malformed(form):
    with pytest.raises(SourceMalformed):
        read(header(form, 0) + bytes(20))


def test_receive_when_chunk_streams_are_too_many_then_is_malformed():
    data = b"".join(
        message(64 + number, 9, 0, b"x", number_bytes=2) for number in range(MAX_CHUNK_STREAMS)
    )
    assert len(read(data)) == MAX_CHUNK_STREAMS
    with pytest.raises(SourceMalformed):
        read(data + message(6, 9, 0, b"x"))


def test_receive_when_many_huge_messages_are_begun_then_memory_is_bounded():
    reader = ChunkReader()
    list(reader.receive(set_chunk_size(1 << 20)))
    piece = bytes(1 << 20)
    parts = (header(0, 0, 0xFFFFFF, number=number) + piece for number in range(3, 63))
    tracemalloc.start()
    with pytest.raises(SourceMalformed, match="holds back"):
        deque(chain.from_iterable(map(reader.receive, parts)), maxlen=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * MAX_HELD


def test_receive_when_one_huge_message_comes_in_tiny_chunks_then_is_read_whole():
    size = 1 << 20
    data = set_chunk_size(16) + message(6, 9, 0, bytes(size), size=16)
    assert [len(body) for _, _, body in read(data[:500000], data[500000:])] == [size]
