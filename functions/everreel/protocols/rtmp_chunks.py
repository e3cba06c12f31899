"""The chunk layer of RTMP: messages out of interleaved chunks, and into chunks."""

from collections.abc import Iterator

from everreel.errors import SourceMalformed

Message = tuple[int, int, bytes]
"""Type, timestamp in ms (32 bits), body."""

MAX_CHUNK_STREAMS = 64
MAX_MESSAGE = 16 << 20
MAX_HELD = 32 << 20
"""Bytes of all incomplete messages together."""

SET_CHUNK_SIZE, ABORT = 1, 2

_OUTGOING_CHUNK = 128
_HEADER_SIZES = (11, 7, 3, 0)
_EXTENDED = 0xFFFFFF
_STAMPS = 1 << 32


class _ChunkStream:
    """What the headers of one chunk stream inherit from those before."""

    __slots__ = ("body", "delta", "extended", "field", "kind", "length", "marker", "stamp")

    def __init__(self, number: int) -> None:
        # The whole header of a chunk that goes on with a message, if it has no timestamp.
        self.marker = 0xC0 | number if number < 64 else -1
        self.stamp = 0
        self.delta = 0
        self.length = 0
        self.kind = 0
        self.extended = False
        self.field = 0  # timestamp or delta as the last header had it
        self.body: bytearray | None = None  # of a message whose last chunk has not come


class ChunkReader:
    """Assembles messages; obeys set chunk size and abort itself.

    Holds at most `MAX_HELD` bytes of messages and one incomplete chunk (16 MiB).

    Source: Adobe RTMP 1.0 §5.3.
    """

    __slots__ = ("_chunk_size", "_current", "_held", "_partial", "_streams", "_wanted")

    def __init__(self) -> None:
        self._chunk_size = 128
        self._streams: dict[int, _ChunkStream] = {}
        self._current: _ChunkStream | None = None  # its header has been read, its payload not
        self._held = bytearray()
        self._wanted = 0
        self._partial = 0  # bytes in the bodies of all chunk streams

    def receive(self, data: bytes) -> Iterator[Message]:
        """Take what arrived; give the messages it completes. To be iterated to the end.

        Raises: SourceMalformed if a header is impossible or a bound is passed.
        """
        if self._held:
            if len(self._held) + len(data) < self._wanted:
                self._held += data
                return
            data = b"".join((self._held, data))
        at, end = 0, len(data)
        while at < end or self._current is not None:
            stream = self._current
            if stream is None:
                after = self._header(data, at, end)
                if not after:
                    break
                at = after
                continue
            body = stream.body
            size = stream.length if body is None else stream.length - len(body)
            size = min(size, self._chunk_size)
            after = at + size
            if after > end:
                self._wanted = size
                break
            self._current = None
            whole = self._payload(stream, data[at:after])
            at = after
            if whole is None:
                at = self._follow(stream, data, at)
                continue
            if stream.kind == SET_CHUNK_SIZE:
                self._set_chunk_size(whole)
            elif stream.kind == ABORT:
                self._abort(whole)
            else:
                yield stream.kind, stream.stamp, whole
        self._held = bytearray(data[at:])

    def _header(self, data: bytes, begin: int, end: int) -> int:
        """Read a chunk header; return where its payload begins.

        Returns: 0 if the header is not complete; `_wanted` then says how many bytes it takes.
        """
        at = begin + 1
        form = data[begin] >> 6
        number = data[begin] & 63
        if number < 2:
            at += number + 1
            number = 64 + int.from_bytes(data[begin + 1 : at], "little")
        after = at + _HEADER_SIZES[form]
        self._wanted = after - begin
        if after > end:
            return 0
        stream = self._streams.get(number) or self._open(number, form)
        field = stream.field
        extended = stream.extended
        if form < 3:
            field = int.from_bytes(data[at : at + 3], "big")
            extended = field == _EXTENDED
        if extended:
            self._wanted += 4
            if after + 4 > end:
                return 0
            value = int.from_bytes(data[after : after + 4], "big")
            if form < 3:
                field = value
            # Where nothing but the timestamp goes on, some servers repeat it, as the standard
            # says, some as an absolute one, and some leave it out.
            if form < 3 or value in (field, stream.stamp, (stream.stamp + stream.delta) % _STAMPS):
                after += 4
        if form < 2:
            stream.length = int.from_bytes(data[at + 3 : at + 6], "big")
            stream.kind = data[at + 6]
        self._begin(stream, form, field)
        stream.field = field
        stream.extended = extended
        self._current = stream
        return after

    def _begin(self, stream: _ChunkStream, form: int, field: int) -> None:
        """Find the timestamp of the message, unless the chunk goes on with one."""
        if stream.body is not None:
            if form == 3:
                return
            self._drop(stream)  # a new message although the last one was not complete
        if form < 3:
            # A delta after an absolute timestamp repeats that timestamp (§5.3.1.2.4).
            stream.delta = field
        stream.stamp = field if form == 0 else (stream.stamp + stream.delta) % _STAMPS

    def _payload(self, stream: _ChunkStream, chunk: bytes) -> bytes | None:
        """Take the payload of a chunk; return the message if it was the last one."""
        body = stream.body
        if body is None:
            if len(chunk) == stream.length:
                return chunk
            body = stream.body = bytearray()
        body += chunk
        self._partial += len(chunk)
        if len(body) == stream.length:
            self._drop(stream)
            return bytes(body)
        if self._partial > MAX_HELD:
            raise SourceMalformed(f"RTMP holds back more than {MAX_HELD >> 20} MiB of messages")
        return None

    def _follow(self, stream: _ChunkStream, data: bytes, at: int) -> int:
        """Take the chunks that go on with the message, but for its last: most of a picture."""
        body = stream.body
        if body is None or stream.extended:
            return at
        size, marker, last = self._chunk_size, stream.marker, len(data) - self._chunk_size
        before = len(body)
        for _ in range((stream.length - before - 1) // size):
            if at >= last or data[at] != marker:
                break
            body += data[at + 1 : at + 1 + size]
            at += size + 1
        self._partial += len(body) - before
        return at

    def _drop(self, stream: _ChunkStream) -> None:
        if stream.body is not None:
            self._partial -= len(stream.body)
            stream.body = None

    def _open(self, number: int, form: int) -> _ChunkStream:
        if form > 1:
            raise SourceMalformed(f"RTMP chunk stream {number} begins without a message header")
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise SourceMalformed(f"RTMP uses more than {MAX_CHUNK_STREAMS} chunk streams")
        stream = self._streams[number] = _ChunkStream(number)
        return stream

    def _set_chunk_size(self, body: bytes) -> None:
        size = int.from_bytes(body[:4], "big") & 0x7FFFFFFF
        if len(body) < 4 or not size:
            raise SourceMalformed("RTMP sets a chunk size of 0")
        self._chunk_size = min(size, MAX_MESSAGE)

    def _abort(self, body: bytes) -> None:
        stream = self._streams.get(int.from_bytes(body[:4], "big"))
        if stream is not None:
            self._drop(stream)


def write_message(chunk_stream: int, kind: int, message_stream: int, body: bytes) -> bytes:
    """Cut a message into chunks of the initial size, with timestamp 0.

    Source: Adobe RTMP 1.0 §5.3.1.
    """
    parts = [
        bytes([chunk_stream, 0, 0, 0]),
        len(body).to_bytes(3, "big"),
        bytes([kind]),
        message_stream.to_bytes(4, "little"),
    ]
    for at in range(0, len(body), _OUTGOING_CHUNK):
        if at:
            parts.append(bytes([0xC0 | chunk_stream]))
        parts.append(body[at : at + _OUTGOING_CHUNK])
    return b"".join(parts)
