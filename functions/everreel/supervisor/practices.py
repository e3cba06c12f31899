"""What vendors ask of those who call their APIs, as data. Units: seconds."""

from dataclasses import dataclass
from math import ceil
from zlib import crc32

from everreel.state.vendor import Layout
from everreel.supervisor.backoff import CONFIRM_S, CONFIRMED_WITHIN_S


@dataclass(frozen=True, slots=True)
class Practices:
    """How one service is to be called.

    Attributes:
        start_again_s: between an acquire or start that failed and its repeats; after the last one
            a new ticket is acquired under the other uid.
        unfinished_again_s: the same for a request that the service says it has not finished yet.
        identities: tickets acquired in a row before a start is given up.
        confirm_s: between start and the queries that confirm it.
        confirmed_within_s: a task that does not run by then has not started.
        steady_s: between queries of a task that runs.
        gone_again_s: between queries that must agree that there is no such task.
        failing_again_s: between queries that are not answered properly.
        throttled_again_s: the longest waits between calls of which the service had too many; each
            is shortened by up to a half, so that those who were refused do not come back together.
        denied_again_s: between queries or stops whose credentials are refused.
        unclear_s: a task that was not seen to run for so long is lost, however queries fail.
        idle_s: what the service takes for the longest idle time if the request names none.
        writes_playlists: a task makes files, and queries tell their names.
        individual_name_after_s, mix_name_after_s: from the first sign of running until the
            playlist has a name.
        name_again_s: from the first query for that name until the second and last.
        requests_per_s: that an application may send.
        tasks: that an application may have at once.
    """

    steady_s: int
    idle_s: int
    tasks: int
    start_again_s: tuple[int, ...] = (3, 6, 9)
    unfinished_again_s: tuple[int, ...] = (3, 6)
    identities: int = 4
    confirm_s: tuple[int, ...] = CONFIRM_S
    confirmed_within_s: int = CONFIRMED_WITHIN_S
    gone_again_s: tuple[int, ...] = (5, 10, 15)
    failing_again_s: tuple[int, ...] = (5, 10, 15, 30)
    throttled_again_s: tuple[int, ...] = (4, 8, 16, 30, 30)
    denied_again_s: int = 60
    unclear_s: int = 120
    writes_playlists: bool = True
    individual_name_after_s: int = 60
    mix_name_after_s: int = 15
    name_again_s: int = 60
    requests_per_s: int = 10

    def name_after_s(self, layout: Layout) -> int:
        """Return when a playlist of this layout has a name, from the first sign of running."""
        mixed = layout is Layout.MIX
        return self.mix_name_after_s if mixed else self.individual_name_after_s

    def throttled_wait_s(self, sid: str, tries: int) -> int:
        """Return the wait after `tries` calls of a recording that were too many; same each time."""
        longest_s = self.throttled_again_s[tries]
        return longest_s - crc32(f"{sid}{tries}".encode()) % (longest_s // 2 + 1)

    def between_looks_s(self, tasks: int) -> int:
        """Return the time between steady queries that keeps `tasks` of them within the budget.

        Half of the budget is left to starts, stops and repeats.
        """
        return max(self.steady_s, ceil(2 * tasks / self.requests_per_s))


CLOUD_RECORDING = Practices(steady_s=60, idle_s=30, tasks=50)
CLOUD_TRANSCODER = Practices(steady_s=120, idle_s=300, tasks=30, writes_playlists=False)
"""Outside China; inside it an application may have 100 tasks."""
