"""Which figures there are. A new group is a module with `GROUPS` and its name in `MODULES`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

MODULES = ("live", "unpaced", "imports", "long")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        name: in `results.json`; lower is better.
        unit: of `ours` and `peer`.
        goal: ratio we hold ourselves to, None if there is none.
    """

    name: str
    unit: str
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run was asked for.

    Attributes:
        quick: look whether it works rather than measure.
        scratch: folder in memory for what is written while measuring.
    """

    quick: bool
    scratch: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """One round of one figure: ours and the peer's, measured side by side."""

    ours: float
    peer: float


Round = Callable[[int], Mapping[str, Pair]]
"""Measures once; the argument counts rounds, so that who goes first can take turns."""


@dataclass(frozen=True, slots=True)
class Group:
    """Figures that one round measures together.

    Attributes:
        name: what `--only` may say besides the names of figures.
        against: the peer, for the table.
        metrics: the figures.
        rounds: how many are counted unless `--rounds` says otherwise.
        open: prepares inputs and servers; gives the function that measures a round.
        warm_up: rounds before those that count.
    """

    name: str
    against: str
    metrics: tuple[Metric, ...]
    rounds: int
    open: Callable[[Setting], AbstractContextManager[Round]]
    warm_up: int = 1


def groups(only: list[str] | None = None) -> list[Group]:
    """List the groups; `only` keeps those that a pattern names, whole or by a figure."""
    found: list[Group] = []
    for module in MODULES:
        found += import_module(f"tests.bench.{module}").GROUPS
    if not only:
        return found
    return [g for g in found if any(_named(g, pattern) for pattern in only)]


def _named(group: Group, pattern: str) -> bool:
    return any(fnmatch(name, pattern) for name in (group.name, *(m.name for m in group.metrics)))
