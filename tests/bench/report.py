"""What the rounds add up to: a table for people, results.json for machines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.registry import Metric, Pair


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of one figure.

    Attributes:
        metric: the figure.
        against: its peer.
        pairs: the counted rounds.
    """

    metric: Metric
    against: str
    pairs: tuple[Pair, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours by the peer's, round by round: what drifts in the machine cancels out."""
        return [pair.ours / pair.peer for pair in self.pairs]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(self.ratios)

    @property
    def ours(self) -> float:
        """Our median."""
        return median(pair.ours for pair in self.pairs)

    @property
    def peer(self) -> float:
        """The peer's median."""
        return median(pair.peer for pair in self.pairs)

    @property
    def met(self) -> str:
        """Say whether the goal is met."""
        if self.metric.goal is None:
            return ""
        sign = "met" if self.ratio <= self.metric.goal else "MISSED"
        return f"<= {self.metric.goal:g} {sign}"

    def dump(self) -> dict[str, object]:
        """Make the entry of results.json."""
        return {
            "ratio": round(self.ratio, 4),
            "ours": round(self.ours, 4),
            "peer": round(self.peer, 4),
            "unit": self.metric.unit,
            "runs": len(self.pairs),
        }


def table(results: Iterable[Result]) -> str:
    """Write the results in columns."""
    rows = [("figure", "ours", "peer", "unit", "ratio", "min..max", "runs", "goal", "against")]
    for each in results:
        spread = f"{min(each.ratios):.3f}..{max(each.ratios):.3f}"
        rows.append(
            (
                each.metric.name, f"{each.ours:.3f}", f"{each.peer:.3f}", each.metric.unit,
                f"{each.ratio:.3f}", spread, str(len(each.pairs)), each.met, each.against,
            )
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def write(folder: Path, results: Sequence[Result], *, keep: bool) -> Path:
    """Write results.json, and rounds.json with every counted round behind it.

    Args:
        folder: where to.
        results: what was measured.
        keep: leave figures in the files that were not measured now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rounds = {each.metric.name: [[pair.ours, pair.peer] for pair in each.pairs] for each in results}
    _merge(folder / "rounds.json", rounds, keep=keep)
    path = folder / "results.json"
    _merge(path, {each.metric.name: each.dump() for each in results}, keep=keep)
    return path


def _merge(path: Path, new: Mapping[str, object], *, keep: bool) -> None:
    old = json.loads(path.read_text()) if keep and path.exists() else {}
    path.write_text(json.dumps({**old, **new}, indent=2, sort_keys=True) + "\n")
