"""Waiting times as data. Units: seconds."""

CONFIRM_S = (5, 3, 4, 6, 9, 13, 20, 30)
"""Between start and the looks that confirm it: the first after 5 s, the last after 90 s."""

CONFIRMED_WITHIN_S = 90
"""A start that shows no sign of life by then has failed."""

SUSPECT_S = (5, 10, 15)
"""Between a missed pulse and the looks that must agree before a lap is declared dead."""

STEADY_S = (60, 60, 90, 120, 180, 300)
"""Between looks at a lap that beats; the last one repeats. The lanes notice its death sooner."""

RESTART_S = (1, 2, 4, 9)
"""Between the end of a lap that failed and the start of the next; the last one repeats."""

TRIES_PER_UID = 3
"""Laps that may fail in a row under one recorder uid; then the other one has its turn."""

ABANDONED_S = 600
"""A recording on which no lap was open for so long is ended by its looks."""

MOST_LOOKS = 300
"""Of one execution, about a day: then another goes on, as it may be deployed by then.

Each makes up to 14 events, and there is room for 25,000.
Source: AWS Step Functions quotas, "Maximum execution history size".
"""

MOST_FAILURES = 12
"""Laps that failed in a row without a segment, after which nobody takes over any more."""

BETWEEN_S = 15
"""Between looks at a recording that no lap has open."""

STOPPING_S = 5
"""Between looks while a stop is being carried out."""


def wait_s(schedule: tuple[int, ...], step: int) -> int:
    """Return the wait before look number `step` (from 0); the last entry repeats."""
    return schedule[min(step, len(schedule) - 1)]
