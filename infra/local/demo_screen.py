"""What the demo shows: a line per step with its time, and while recording one line that moves."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_LABEL, _TEXT = 12, 58
_BAR = 24


class Step:
    """One step under way.

    Attributes:
        text: what came of it; shown with its time when it is done.
    """

    def __init__(self) -> None:
        """Begin without a word."""
        self.text = ""
        self.took = ""


class Screen:
    """Writes for a person at a terminal, and plain lines for a log."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to `out` (default: standard output)."""
        self._out = out if out is not None else sys.stdout
        self.terminal = self._out.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self.terminal and not os.environ.get("NO_COLOR")
        self._moving = False

    def line(self, text: str = "") -> None:
        """Write a line of its own."""
        self._wipe()
        print(text, file=self._out, flush=True)

    def mark(self, ok: bool, label: str, text: str, took: str = "") -> None:
        """Write what came of something."""
        sign = self._paint("32", "✓") if ok else self._paint("31", "✗")
        line = f"  {sign} {label:<{_LABEL}} {text}"
        if took:
            line += " " * max(1, _TEXT - len(text)) + self._paint("2", f"{took:>8}")
        self.line(line.rstrip())

    def note(self, label: str, text: str) -> None:
        """Write something to know, neither good nor bad."""
        self.line(f"  {self._paint('36', '▶')} {label:<{_LABEL}} {text}")

    @contextmanager
    def step(self, label: str, doing: str) -> Iterator[Step]:
        """Time a step: show what is going on, then what came of it. An error is left to others."""
        self.moving(f"    {label:<{_LABEL}} {doing} ...")
        step, began = Step(), time.monotonic()
        yield step
        took = step.took or f"{time.monotonic() - began:.1f} s"
        self.mark(True, label, step.text or doing, took)

    def moving(self, text: str) -> None:
        """Show a line that the next one replaces; only a terminal can."""
        if not self.terminal:
            return
        width = shutil.get_terminal_size().columns - 1
        self._out.write(f"\r\x1b[2K{text[:width]}")
        self._out.flush()
        self._moving = True

    def _wipe(self) -> None:
        if self._moving:
            self._out.write("\r\x1b[2K")
            self._moving = False

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def bar(part: float) -> str:
    """Draw how much of something is done, 0 to 1."""
    full = round(max(0.0, min(1.0, part)) * _BAR)
    return "█" * full + "░" * (_BAR - full)


def clock(seconds: float) -> str:
    """Write a length of time as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def size(count: float) -> str:
    """Write a number of bytes."""
    if count < 1e6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"
