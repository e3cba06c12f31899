"""Turns the segments of one HLS media playlist into events: MPEG-TS, fMP4 or packed audio."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from everreel.errors import SourceError, SourceMalformed, SourceUnsupported
from everreel.media.access_unit import SourceEvent
from everreel.protocols import packed_audio
from everreel.protocols.hls_playlist import Part
from everreel.protocols.mpegts import MpegTs
from everreel.protocols.ts_streams import AdtsParser

if TYPE_CHECKING:
    from everreel.media.isobmff.reader import Track

# What is parsed at a time, so that a reader of the source never waits long: a few milliseconds.
_SLICE = 188 * 1024


class SegmentReader:
    """Parses one segment after the other; keeps what decoders must know from earlier ones.

    Attributes:
        init: the initialisation section taken last.
    """

    def __init__(self) -> None:
        self.init: Part | None = None
        self._tracks: list[Track] = []
        self._ts: MpegTs | None = None
        self._adts: AdtsParser | None = None

    def start(self, init: Part, data: bytes) -> list[SourceEvent]:
        """Take an initialisation section; return the formats of its tracks.

        Raises: SourceMalformed, SourceUnsupported.
        """
        from everreel.media.isobmff import reader  # noqa: PLC0415 - most sources are MPEG-TS

        self._tracks = reader.read_init(data)
        self.init = init
        return [track.format for track in self._tracks if track.format is not None]

    def read(self, segment: bytes, init: Part | None) -> Iterator[list[SourceEvent]]:
        """Yield the events of a whole segment, a part at a time.

        Args:
            segment: all of it.
            init: the section that applies to it, given to `start` before; None if none does.

        Raises: SourceMalformed, SourceUnsupported; the next segment is read afresh.
        """
        if init is not None:
            yield self._fragments(segment)
        elif packed_audio.is_packed(segment):
            self._adts = self._adts or AdtsParser()
            yield packed_audio.read(segment, self._adts)
        elif segment[4:8] in (b"styp", b"moof", b"sidx"):
            raise SourceMalformed("the HLS playlist has fMP4 segments but no EXT-X-MAP")
        elif segment.startswith(b"WEBVTT"):
            raise SourceUnsupported("the HLS source carries subtitles only", field="source")
        else:
            yield from self._packets(segment)

    def _fragments(self, segment: bytes) -> list[SourceEvent]:
        from everreel.media.isobmff import reader  # noqa: PLC0415 - most sources are MPEG-TS

        return reader.read_fragment(segment, self._tracks)

    def _packets(self, segment: bytes) -> Iterator[list[SourceEvent]]:
        """Parse a segment of MPEG-TS; its last units are complete, as no unit spans segments."""
        parser = self._ts = self._ts or MpegTs()
        try:
            for at in range(0, len(segment), _SLICE):
                yield parser.receive(segment[at : at + _SLICE])
            yield parser.flush()
        except SourceError:
            self._ts = None
            raise
