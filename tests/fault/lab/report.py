"""What the runs add up to: a table for people, results.json for machines."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fault.lab.cases import Case
from tests.fault.lab.judge import Judgement
from tests.fault.lab.record import Result

_HEAD = (
    "fault", "protocol", "reliability", "runs", "events", "laps", "units", "lost", "doubled",
    "reordered", "gap p50", "p99", "max", "held",
)  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that so large a share of the values does not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Row:
    """The runs of one case."""

    case: Case
    results: tuple[Result, ...]

    def _sum(self, name: str) -> int:
        found = (result.judgement or Judgement() for result in self.results)
        return sum(getattr(judgement, name) for judgement in found)

    @property
    def gaps_s(self) -> list[float]:
        """How much was missing after each event; 0 where nothing was. Units: seconds."""
        missing = [s for result in self.results if result.judgement
                   for s in result.judgement.missing_s]  # fmt: skip
        events = sum(result.struck for result in self.results)
        return missing + [0.0] * max(0, events - len(missing))

    @property
    def held(self) -> bool:
        """Whether the invariants held in every run."""
        return all(result.held for result in self.results)

    def dump(self, seed: int) -> dict[str, Any]:
        """Make the entry of results.json."""
        gaps_s = self.gaps_s
        return {
            "fault": self.case.fault.name,
            "protocol": self.case.protocol.value,
            "reliability": self.case.reliability.value,
            "seed": seed,
            "runs": len(self.results),
            "events": sum(result.struck for result in self.results),
            "laps": sum(result.laps for result in self.results),
            "units": self._sum("recorded"),
            "lost": self._sum("lost"),
            "doubled": self._sum("doubled"),
            "reordered": self._sum("reordered"),
            "foreign": self._sum("foreign"),
            "gap_p50_s": round(percentile(gaps_s, 0.5), 3),
            "gap_p99_s": round(percentile(gaps_s, 0.99), 3),
            "gap_max_s": round(max(gaps_s, default=0.0), 3),
            "duration_s": round(sum(result.took_s for result in self.results), 1),
            "held": self.held,
            "notes": [
                note
                for result in self.results
                if result.judgement
                for note in result.judgement.notes
            ],
            "problems": [problem for result in self.results for problem in result.problems],
        }

    def cells(self) -> tuple[str, ...]:
        """Make the row of the table."""
        told = self.dump(0)
        return (
            *(str(told[name]) for name in ("fault", "protocol", "reliability", "runs", "events",
              "laps", "units", "lost", "doubled", "reordered")),
            *(f"{told[name]:.2f}" for name in ("gap_p50_s", "gap_p99_s", "gap_max_s")),
            "yes" if self.held else "NO",
        )  # fmt: skip


def rows(results: Iterable[Result]) -> list[Row]:
    """Gather the runs of each case."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.plan.case.name, []).append(result)
    return [Row(each[0].plan.case, tuple(each)) for _name, each in sorted(found.items())]


def table(found: Sequence[Row]) -> str:
    """Write the rows as a table that is Markdown as well."""
    lines = [_HEAD, *(row.cells() for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    text = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def problems(results: Iterable[Result]) -> str:
    """List what did not hold, run by run."""
    lines: list[str] = []
    for result in results:
        name = f"{result.plan.case.name} run {result.plan.number}"
        lines += [f"{name}: {problem}" for problem in result.problems]
        if result.problems and result.judgement is not None:
            lines += [f"  {note}" for note in result.judgement.notes]
    return "\n".join(lines)


def machine() -> str:
    """Describe what the figures were made on."""
    cpu = platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores ({cpu}), Python {sys.version.split()[0]}"


def write(folder: Path, found: Sequence[Row], seed: int) -> Path:
    """Write results.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    document = {
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "cases": {row.case.name: row.dump(seed) for row in found},
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path
