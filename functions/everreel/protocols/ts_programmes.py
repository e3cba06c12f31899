"""Chooses what to record of a transport stream: one programme, of it one video and one audio."""

from everreel.errors import SourceUnsupported
from everreel.media import psi
from everreel.media.access_unit import Codec, Medium
from everreel.media.psi import ElementaryStream, ProgrammeMap, SectionReader

_CODECS = {psi.H264: Codec.H264, psi.H265: Codec.H265, psi.AAC_ADTS: Codec.AAC}


class _Table:
    """A packet id with sections, and the continuity counter it has next."""

    __slots__ = ("cc", "reader")

    def __init__(self) -> None:
        self.reader = SectionReader()
        self.cc = -1


class Programmes:
    """Follows PAT and PMTs: the first programme of the PAT that can be recorded.

    A stream that is followed stays followed as long as the PMT lists it.

    Attributes:
        wanted: the streams to record.
        ignored: audio and video of the programme that cannot be recorded, by name.
    """

    def __init__(self) -> None:
        """Start without tables."""
        self.wanted: dict[Medium, tuple[ElementaryStream, Codec]] = {}
        self.ignored: tuple[str, ...] = ()
        self._tables: dict[int, _Table] = {psi.PAT_PID: _Table()}
        self._programmes: list[tuple[int, int]] = []
        self._maps: dict[int, ProgrammeMap] = {}
        self._repeated = False
        self._current: int | None = None

    def packet(self, pid: int, payload: bytes, starts: bool, count: int) -> bool:
        """Take a packet of no followed stream; tell whether `wanted` may have changed.

        Args:
            pid: packet id; most carry no table and are ignored.
            payload: at least one byte.
            starts: payload_unit_start_indicator.
            count: continuity_counter.

        Raises: SourceUnsupported if no programme has anything that can be recorded,
            SourceMalformed if a table with a correct CRC cannot be read.
        """
        table = self._tables.get(pid)
        if table is None:
            return False
        if table.cc >= 0 and count != table.cc:
            table.reader.lose()
        table.cc = (count + 1) & 15
        changed = False
        for section in table.reader.read(payload, starts):
            if pid == psi.PAT_PID and psi.is_current(section, psi.PAT_ID):
                changed |= self._on_programmes(psi.parse_pat(section))
            elif pid != psi.PAT_PID and psi.is_current(section, psi.PMT_ID):
                changed |= self._on_map(pid, psi.parse_pmt(section))
        return changed

    def lose(self) -> None:
        """Forget sections under way and packet counters: the input is cut here."""
        for table in self._tables.values():
            table.reader.lose()
            table.cc = -1

    def _on_programmes(self, programmes: list[tuple[int, int]]) -> bool:
        if programmes == self._programmes:
            return False
        self._programmes = programmes
        pids = {psi.PAT_PID, *(pid for _, pid in programmes)}
        self._tables = {pid: self._tables.get(pid) or _Table() for pid in pids}
        numbers = {number for number, _ in programmes}
        self._maps = {number: m for number, m in self._maps.items() if number in numbers}
        self._repeated = False
        return self._choose()

    def _on_map(self, pid: int, programme: ProgrammeMap) -> bool:
        if (programme.number, pid) not in self._programmes:
            return False
        if self._maps.get(programme.number) == programme:
            if self._repeated or self._current is not None:
                return False
            self._repeated = True
        self._maps[programme.number] = programme
        return self._choose()

    def _choose(self) -> bool:
        """Keep to the programme we follow, or choose one; tell whether there is one.

        A programme whose PMT has not come yet is waited for until another PMT comes again, so that
        everybody who joins makes the same choice.
        """
        if self._current is not None and self._use(self._maps.get(self._current)):
            return True
        self._current = None
        for number, _ in self._programmes:
            programme = self._maps.get(number)
            if programme is None and not self._repeated:
                return False
            if self._use(programme):
                self._current = number
                return True
        named = {
            psi.NAMES[stream.stream_type]
            for programme in self._maps.values()
            for stream in programme.streams
            if stream.stream_type in psi.NAMES and stream.stream_type != psi.PRIVATE
        }
        if named:
            raise SourceUnsupported(
                f"the transport stream has only {', '.join(sorted(named))}; it must carry H.264 "
                "or H.265 video, or AAC (ADTS) or Opus audio"
            )
        return False

    def _use(self, programme: ProgrammeMap | None) -> bool:
        """Take the streams of a programme if it has any for us."""
        wanted: dict[Medium, tuple[ElementaryStream, Codec]] = {}
        ignored: list[str] = []
        for stream in programme.streams if programme is not None else ():
            codec = _codec(stream)
            if codec is None:
                if stream.stream_type in psi.NAMES and stream.stream_type != psi.PRIVATE:
                    ignored.append(psi.NAMES[stream.stream_type])
            elif codec.medium not in wanted or self.wanted.get(codec.medium) == (stream, codec):
                wanted[codec.medium] = (stream, codec)
        if not wanted:
            return False
        self.wanted = wanted
        self.ignored = tuple(ignored)
        return True


def _codec(stream: ElementaryStream) -> Codec | None:
    if psi.opus_channels(stream) is not None:
        return Codec.OPUS
    return _CODECS.get(stream.stream_type)
