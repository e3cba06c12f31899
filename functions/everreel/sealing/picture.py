"""Draws the timeline of a verified recording as SVG: lanes, laps, segments, gaps, UTC.

Plain text without any library. However long the recording, a lane has no more marks than pixels.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import pairwise

from everreel.clock import MICROSECONDS
from everreel.sealing.verify_report import Hole, Piece, Report

WIDTH = 1200
_LEFT, _RIGHT = 92, 36
_PLOT = WIDTH - _LEFT - _RIGHT
_TOP, _LANE, _BAR = 118, 58, 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
)  # fmt: skip
_MOST_TICKS = 10
_NARROWEST_SEGMENT = 4
"""Pixels below which single segments are not told apart."""
_NARROWEST_LAP = 1
"""Pixels below which, on average, laps are not."""
_APART = 0.7
"""Pixels that an eye can part two marks by."""

_COLOURS = ("#2563a8", "#5b93d0", "#1b7f79", "#58b3a8")
_INK, _PALE, _RED, _GREEN = "#1c2733", "#667788", "#d12f2f", "#1f8a4c"
_STYLE = (
    "text{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:13px;fill:#1c2733}"
    ".h{font-size:20px;font-weight:600}.p{fill:#667788}.r{fill:#d12f2f;font-size:12px}"
    ".w{fill:#fff;font-size:12px;font-weight:600}.m{text-anchor:middle}.e{text-anchor:end}"
)


def timeline(report: Report) -> str:
    """Draw a report; its first and last unit are the ends of the picture."""
    return _Picture(report).draw()


class _Picture:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._start_us = report.begin_us
        self._end_us = max(report.end_us, report.begin_us + 1)
        self._lanes = sorted({piece.lane for piece in report.pieces})
        self._bottom = _TOP + _LANE * len(self._lanes)
        self._parts: list[str] = []

    def draw(self) -> str:
        height = self._bottom + 96
        self._heading()
        self._axis()
        for row, lane in enumerate(self._lanes):
            self._lane(lane, _TOP + row * _LANE + (_LANE - _BAR) // 2)
        self._changes()
        self._holes()
        self._legend(height - 22)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">'
        )
        pattern = (
            '<defs><pattern id="gap" width="7" height="7" patternUnits="userSpaceOnUse" '
            'patternTransform="rotate(45)"><rect width="7" height="7" fill="#fbdcdc"/>'
            f'<rect width="2.5" height="7" fill="{_RED}"/></pattern></defs>'
        )
        ground = f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#fff"/>'
        title = f"<title>{escape(self._name())}</title><style>{_STYLE}</style>"
        return "\n".join([head, title, pattern, ground, *self._parts, "</svg>\n"])

    # ------------------------------------------------------------------ words

    def _name(self) -> str:
        return " · ".join(filter(None, [self._report.channel or "recording", self._report.sid]))

    def _heading(self) -> None:
        report = self._report
        colour, verdict = (_GREEN, "whole") if report.whole else (_RED, _problems(report))
        self._text(_LEFT, 40, report.channel or "recording", "h")
        self._text(_LEFT, 62, report.sid or "not sealed", "p")
        facts = [
            f"{report.segments} segments",
            _length(report.span_us),
            f"coverage {report.coverage * 100:.3f} %",
        ]
        self._text(WIDTH - _RIGHT, 62, " · ".join(facts), "p e")
        width = 20 + 8 * len(verdict)
        x = WIDTH - _RIGHT - width
        self._parts.append(
            f'<rect x="{x}" y="22" width="{width}" height="24" rx="12" fill="{colour}"/>'
        )
        self._text(x + width / 2, 38, verdict, "w m")

    def _axis(self) -> None:
        """Draw lines at round UTC times, or at round elapsed times if UTC is not known."""
        origin_us = self._report.origin_utc_us
        first_us, span_us = origin_us + self._start_us, self._end_us - self._start_us
        step_s = next((s for s in _STEPS_S if span_us <= s * MICROSECONDS * _MOST_TICKS), None)
        step_us = (step_s or -(-span_us // (_MOST_TICKS * 86_400_000_000)) * 86_400) * MICROSECONDS
        y = self._bottom + 18
        day = ""
        for at_us in range(-(-first_us // step_us) * step_us, first_us + span_us + 1, step_us):
            x = self._x(at_us - origin_us)
            self._parts.append(
                f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{self._bottom}" stroke="#e3e8ee"/>'
            )
            moment = _EPOCH + timedelta(microseconds=at_us)
            self._text(x, y, f"{moment:%H:%M:%S}" if step_us < 60_000_000 else f"{moment:%H:%M}",
                       "m")  # fmt: skip
            today = f"{moment:%Y-%m-%d} UTC" if origin_us else "elapsed"
            if today != day:
                day = today
                self._text(x, y + 16, day, "p m")

    def _legend(self, y: int) -> None:
        x = _LEFT
        for fill, words in (
            (_COLOURS[0], "written by a lap"),
            ("#dfe8f2", "lap alive, others own the segments"),
            ("url(#gap)", "gap"),
            (_RED, "something is wrong"),
        ):
            self._parts.append(
                f'<rect x="{x}" y="{y - 10}" width="18" height="11" rx="2" fill="{fill}"/>'
            )
            self._text(x + 24, y, words, "p")
            x += 52 + 7 * len(words)

    # ------------------------------------------------------------------ lanes

    def _lane(self, lane: str, y: int) -> None:
        self._text(_LEFT - 12, y + _BAR // 2 + 5, f"lane {lane}", "e")
        pieces = [piece for piece in self._report.pieces if piece.lane == lane]
        laps: dict[int, list[Piece]] = {}
        for piece in pieces:  # near a hand-over two laps may own segments in turns
            laps.setdefault(piece.lap, []).append(piece)
        if len(laps) * _NARROWEST_LAP > _PLOT:
            said = f"lane {lane}: {len(laps)} laps, {len(pieces)} segments"
            self._own(pieces, y, self._colour(lane, 1), said)
            return
        for lap, own in laps.items():
            self._lap(lane, lap, own, y)

    def _lap(self, lane: str, lap: int, pieces: Sequence[Piece], y: int) -> None:
        whole = self._x(pieces[0].start_us), self._x(pieces[-1].end_us)
        said = (
            f"lane {lane}, lap {lap}: segments {pieces[0].k} to {pieces[-1].k}, "
            f"{len(pieces)} its own"
        )
        self._bar(whole, y + 9, _BAR - 18, "#dfe8f2", said)
        runs = self._own(pieces, y, self._colour(lane, lap), said)
        begin, end = max(runs, key=lambda run: run[1] - run[0])
        if end - begin > 48:
            self._text((begin + end) / 2, y + _BAR // 2 + 4, f"lap {lap}", "w m")

    def _colour(self, lane: str, lap: int) -> str:
        return _COLOURS[(lap - 1) % 2 + 2 * (self._lanes.index(lane) % 2)]

    def _own(
        self, pieces: Sequence[Piece], y: int, colour: str, said: str
    ) -> list[tuple[float, float]]:
        """Draw segments of one writer; return where."""
        runs = self._runs(pieces)
        for run in runs:
            self._bar(run, y, _BAR, colour, said)
        if _PLOT / len(self._report.pieces) >= _NARROWEST_SEGMENT:
            for before, piece in pairwise(pieces):
                if piece.start_us - before.end_us < MICROSECONDS // 2:
                    x = self._x(piece.start_us)
                    self._parts.append(
                        f'<line x1="{x}" y1="{y}" x2="{x}" y2="{y + _BAR}" stroke="#fff" '
                        'stroke-opacity=".75"/>'
                    )
        for run in self._runs([piece for piece in pieces if not piece.sound]):
            self._bar((run[0], max(run[1], run[0] + 3)), y, _BAR, _RED, "something is wrong here")
        return runs

    def _runs(self, pieces: Iterable[Piece]) -> list[tuple[float, float]]:
        """Join pieces that follow each other, or lie too near for an eye to part them."""
        runs: list[tuple[float, float]] = []
        for piece in pieces:
            begin, end = self._x(piece.start_us), self._x(piece.end_us)
            if runs and begin - runs[-1][1] < _APART:
                runs[-1] = runs[-1][0], max(runs[-1][1], end)
            else:
                runs.append((begin, end))
        return runs

    def _changes(self) -> None:
        """Mark where another lap goes on; beyond a point single marks would be a smear."""
        changes = self._report.changes
        for change in changes if len(changes) <= _PLOT // 12 else ():
            x, y = self._x(change.at_us), _TOP - 8
            said = f"segment {change.k}: {change.before} hands over to {change.after}"
            self._parts.append(
                f'<path d="M{x - 5:.1f} {y - 8}h10l-5 8z" fill="{_INK}">'
                f"<title>{escape(said)}</title></path>"
            )

    def _holes(self) -> None:
        free = 0.0
        for begin, end, holes in self._heaps():
            said = _hole(holes[0]) if len(holes) == 1 else _heap(holes)
            self._parts.append(
                f'<rect x="{begin}" y="{_TOP}" width="{end - begin:.2f}" '
                f'height="{self._bottom - _TOP}" fill="url(#gap)" stroke="{_RED}" '
                f'stroke-width=".6"><title>{escape(said)}</title></rect>'
            )
            half = 3.4 * len(said)
            middle = min(max((begin + end) / 2, _LEFT + half), WIDTH - _RIGHT - half)
            if middle - half > free:
                self._text(middle, _TOP - 22, said, "r m")
                free = middle + half + 8

    def _heaps(self) -> list[tuple[float, float, list[Hole]]]:
        """Put gaps together that lie too near for an eye to part them."""
        heaps: list[tuple[float, float, list[Hole]]] = []
        for hole in sorted(self._report.holes, key=lambda each: each.start_us):
            begin = self._x(hole.start_us)
            end = max(self._x(hole.end_us), begin + 2)
            if heaps and begin - heaps[-1][1] < _APART:
                first, before, holes = heaps[-1]
                holes.append(hole)
                heaps[-1] = first, max(before, end), holes
            else:
                heaps.append((begin, end, [hole]))
        return heaps

    # ------------------------------------------------------------------ marks

    def _x(self, at_us: int) -> float:
        share = (at_us - self._start_us) / (self._end_us - self._start_us)
        return round(_LEFT + _PLOT * share, 2)

    def _bar(self, run: tuple[float, float], y: int, height: int, fill: str, said: str) -> None:
        width = max(run[1] - run[0], 0.8)
        self._parts.append(
            f'<rect x="{run[0]}" y="{y}" width="{width:.2f}" height="{height}" '
            f'rx="{min(3.0, width / 3):.1f}" fill="{fill}"><title>{escape(said)}</title></rect>'
        )

    def _text(self, x: float, y: float, words: str, kind: str = "") -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y}" class="{kind}">{escape(words)}</text>')


def _hole(hole: Hole) -> str:
    cause = hole.cause or ("cause unknown" if hole.declared else "undeclared")
    return f"{cause}, {_length(hole.duration_us)}"


def _heap(holes: Sequence[Hole]) -> str:
    total_us = sum(hole.duration_us for hole in holes)
    return f"{len(holes)} gaps, together {_length(total_us)}"


def _problems(report: Report) -> str:
    count = len(report.problems)
    return f"{count} problem{'s' if count > 1 else ''}"


def _length(us: int) -> str:
    seconds = us / MICROSECONDS
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
