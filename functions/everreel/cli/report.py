"""Writes a verification down as people like to read it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everreel.clock import MICROSECONDS
from everreel.sealing.verify_report import Problem, Report, TrackFound, Writer

_COLUMNS = 60
_MOST_LINES = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Style:
    """How to emphasise: with colours on a terminal, not at all elsewhere."""

    colours: bool

    def bold(self, text: str) -> str:
        """Emphasise."""
        return self._in("1", text)

    def good(self, text: str) -> str:
        """Show that all is well."""
        return self._in("1;32", text)

    def bad(self, text: str) -> str:
        """Show that something is wrong."""
        return self._in("1;31", text)

    def dim(self, text: str) -> str:
        """Show what matters less."""
        return self._in("2", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text


def render(report: Report, place: str, style: Style) -> str:
    """Write the whole report, a line break at its end."""
    lines = [
        "",
        *_heading(report, place, style),
        *_section("Timeline", _timeline(report, style), style),
        *_section("Tracks", map(_track, report.tracks), style),
        *_section("Who wrote what", _writers(report), style),
        *_section("Gaps", _gaps(report, style), style),
        *_section("Checked", report.checked, style),
        *_section("Remarks", _listed(report.remarks), style),
        *_section("Problems", map(style.bad, _listed(report.problems)), style),
        *_verdict(report, style),
        "",
    ]
    return "\n".join(lines)


def _heading(report: Report, place: str, style: Style) -> Iterator[str]:
    sealed = "sealed" if report.sealed else "not sealed: held against its playlists alone"
    if report.reason:
        sealed += f" ({report.reason})"
    yield style.bold(f"{report.channel or place}  {report.sid}".rstrip())
    yield f"{sealed} · {report.container} · {report.segments} segments · {_size(report.bytes)}"
    begin, end = report.begin_us, report.end_us
    if origin_us := report.origin_utc_us:
        yield f"{_date(origin_us + begin)} – {_date(origin_us + end)} UTC"
    media = _length(report.span_us - report.gap_us)
    covered = style.bold(f"{report.coverage * 100:.3f} %")
    yield f"{_length(report.span_us)}, of which {media} hold media: coverage {covered}"
    if report.chain:
        whole = "whole" if report.chain_whole else style.bad("broken")
        yield f"digest chain {whole}, its last link is {report.chain}"


def _section(title: str, lines: Iterable[str], style: Style) -> Iterator[str]:
    for number, line in enumerate(lines):
        if not number:
            yield from ("", style.bold(title))
        yield f"  {line}"


def _timeline(report: Report, style: Style) -> Iterator[str]:
    """Draw each lane in a line: what it wrote, where media is missing, where something is wrong."""
    begin = report.begin_us
    span = max(report.end_us - begin, 1)

    def columns(start_us: int, end_us: int) -> range:
        first = (start_us - begin) * _COLUMNS // span
        last = (max(end_us, start_us + 1) - begin) * _COLUMNS
        return range(max(first, 0), min(max(-(-last // span), first + 1), _COLUMNS))

    for lane in sorted({piece.lane for piece in report.pieces}):
        cells = [" "] * _COLUMNS
        for piece in report.pieces:
            if piece.lane == lane:
                for column in columns(piece.start_us, piece.end_us):
                    cells[column] = "█" if cells[column] != "!" and piece.sound else "!"
        for hole in report.holes:
            for column in columns(hole.start_us, hole.end_us):
                cells[column] = "×" if cells[column] != "!" else "!"
        drawn = "".join(style.bad(cell) if cell in "×!" else cell for cell in cells)
        yield f"lane {lane}  ▕{drawn}▏"
    if report.holes or not all(piece.sound for piece in report.pieces):
        yield style.dim("        █ media  × no media  ! something is wrong")


def _track(track: TrackFound) -> str:
    shape = (
        f"{track.width}×{track.height}"
        if track.width
        else f"{track.sample_rate / 1000:g} kHz, {track.channels} ch"
    )
    what = "pictures" if track.medium == "video" else "frames"
    init = f"init {track.init}" if track.init else ""
    return f"{track.medium:6} {track.codec:16} {shape:14} {track.units:9,} {what:9} {init}".rstrip()


def _writers(report: Report) -> Iterator[str]:
    for writer in report.writers[:_MOST_LINES]:
        yield _writer(writer)
    if len(report.writers) > _MOST_LINES:
        yield f"… and {len(report.writers) - _MOST_LINES} laps more: --json lists all"
    changes = report.changes
    for change in changes[:_MOST_LINES]:
        yield f"{change.before} → {change.after} at segment {change.k}, {_at(change.at_us)}"
    if len(changes) > _MOST_LINES:
        yield f"… and {len(changes) - _MOST_LINES} changes more"


def _writer(writer: Writer) -> str:
    ended = f"{writer.state} ({writer.reason})" if writer.reason else writer.state
    return (
        f"lane {writer.lane} lap {writer.lap:<4} {writer.segments:6,} of the segments "
        f"{writer.first_k} to {writer.last_k}   {_length(writer.media_us):>12} "
        f"{_size(writer.bytes):>10}   {ended}"
    ).rstrip()


def _gaps(report: Report, style: Style) -> Iterator[str]:
    if not report.holes:
        yield "none"
    for hole in report.holes[:_MOST_LINES]:
        if hole.declared:
            why = hole.cause or "cause not known before it is sealed"
        else:
            why = style.bad(f"{hole.cause} " if hole.cause else "") + style.bad("not declared")
        yield f"{_at(hole.start_us)}  {hole.duration_us / MICROSECONDS:8.3f} s  {why}"
    if len(report.holes) > _MOST_LINES:
        yield f"… and {len(report.holes) - _MOST_LINES} more"


def _listed(problems: Sequence[Problem]) -> Iterator[str]:
    yield from map(str, problems[:_MOST_LINES])
    if len(problems) > _MOST_LINES:
        yield f"… and {len(problems) - _MOST_LINES} more: --json lists all"


def _verdict(report: Report, style: Style) -> Iterator[str]:
    yield ""
    if not report.whole:
        count = len(report.problems)
        yield style.bad(f"NOT WHOLE: {count} problem{'s' if count > 1 else ''}")
    elif report.sealed:
        yield style.good("WHOLE: every segment is there, unchanged, and fits the next")
    else:
        yield style.good("NOTHING WRONG so far: every listed segment is there and fits the next")
        yield "There is no digest to hold them against before the recording is sealed."


def _at(us: int) -> str:
    seconds, ms = divmod(us // 1000, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}.{ms:03d}"


def _length(us: int) -> str:
    seconds = us / MICROSECONDS
    if seconds < 60:
        return f"{seconds:.3f} s"
    return _at(us)


def _date(utc_us: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=utc_us):%Y-%m-%d %H:%M:%S}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
