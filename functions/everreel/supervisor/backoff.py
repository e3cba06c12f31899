"""Waiting times as data. Units: seconds."""

CONFIRM_S = (5, 3, 4, 6, 9, 13, 20, 30)
"""Between start and the looks that confirm it: the first after 5 s, the last after 90 s."""

CONFIRMED_WITHIN_S = 90
"""A start that shows no sign of life by then has failed."""

SUSPECT_S = (5, 10, 15)
"""Between a missed pulse and the looks that must agree before a lap is declared dead."""

STEADY_S = (60, 60, 90, 120)
"""Between looks at a lap that beats; the last one repeats."""

STOPPING_S = 5
"""Between looks while a stop is being carried out."""


def wait_s(schedule: tuple[int, ...], step: int) -> int:
    """Return the wait before look number `step` (from 0); the last entry repeats."""
    return schedule[min(step, len(schedule) - 1)]
