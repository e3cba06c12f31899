"""Starts commands through `launch.py` and says what they cost."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / ".bench"
_LAUNCHER = Path(__file__).with_name("launch.py")


class BenchError(RuntimeError):
    """Says that a measured command failed, so that its figure means nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a whole process cost, its start included.

    Attributes:
        cpu_s: user and system time, seconds.
        rss_mib: peak resident memory.
        clocks_s: CPU time used by each of the moments asked for, seconds.
    """

    cpu_s: float
    rss_mib: float
    clocks_s: tuple[float, ...]


class Running:
    """A command under way; `cost` waits for its end."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        stop_after_s: float = 0,
        marks_s: Sequence[float] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `argv`; see `launch.py` for the rest."""
        self._argv = list(argv)
        self._log = log
        marks = ",".join(str(mark) for mark in marks_s)
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(log), str(stop_after_s), marks]
        self._process = subprocess.Popen(
            [*launcher, *argv],
            stdout=subprocess.PIPE,
            text=True,
            env=installed(environment or {}),
        )

    def cost(self) -> Cost:
        """Wait for the end.

        Raises:
            BenchError: it failed; the message carries its log.
        """
        line, _ = self._process.communicate()
        words = line.split()
        # FFmpeg answers 255 to the signal that ends a recording.
        if not words or words[0] not in {"0", "255"}:
            tail = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""
            raise BenchError(f"{self._argv[0]} ended with {line.strip() or 'nothing'}\n{tail}")
        cpu_s, rss_kib, *clocks = (float(word) for word in words[1:])
        return Cost(cpu_s, rss_kib / 1024, tuple(clocks))


def installed(extra: Mapping[str, str]) -> dict[str, str]:
    """Make the environment of an installed product: its bytecode is on disk already.

    The bytecode goes to a folder of the bench, so that no run depends on what ran before in the
    tree; the first round is not counted and fills it.
    """
    wanted = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return {**wanted, "PYTHONPATH": str(ROOT / "functions"),
            "PYTHONPYCACHEPREFIX": str(OUT / "bytecode"), **extra}  # fmt: skip
