"""What breaks, and how: each injector breaks one thing in one run, at moments its seed decides."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from dataclasses import dataclass, field

from everreel.clock import MICROSECONDS
from everreel.recorder.resync import SILENT_US
from everreel.state.recording import Lap, LapState, Reason
from tests.fault.lab.harness import LabStack
from tests.fault.lab.stage import Feed
from tests.fault.lab.store_proxy import Spell, Trouble
from tests.fault.proxy import Proxy
from tests.lab.process import LabError

RECOVER_S = 90.0
"""Longest wait until a recording is whole again: looks, burials, cold starts on a busy machine."""

REPLACE_S = 15.0
"""A lap that is struck is replaced within this: found dead, started, in step."""

ZOMBIE_S = 6.0
"""How long a lap that was hung lives on once it is woken: a beat and a commit at least."""


@dataclass
class Run:
    """One recording under way.

    Attributes:
        chance: decides everything that is left to chance; seeded.
        events: how often the fault is to strike; `struck` how often it did.
        lanes: laps that record at any time.
        leaps: the publisher's clock can leap in mid-stream.
        down: request ids of laps that were killed or hung.
    """

    stack: LabStack
    sid: str
    channel: str
    chance: random.Random
    feed: Feed
    events: int
    lanes: int
    network: Proxy | None = None
    leaps: bool = False
    struck: int = 0
    down: set[str] = field(default_factory=set)

    def pause(self, low_s: float, high_s: float | None = None) -> None:
        """Let some time pass, drawn from between two bounds."""
        self.stack.ending.wait(low_s if high_s is None else self.chance.uniform(low_s, high_s))

    def healthy(self) -> list[Lap]:
        """List the laps that were not struck and have whatever is not stored yet."""
        committed = self.stack.committed(self.sid)
        return [
            lap
            for lap in self.stack.running(self.sid)
            if lap.request_id not in self.down and 0 <= lap.progress.entered_k <= committed + 1
        ]

    def staying(self) -> list[Lap]:
        """List the healthy laps that are not about to leave, relieved or at their limit."""
        healthy = self.healthy()
        relieved = {lap.origin.follows for lap in healthy if lap.origin.relieves}
        left_s = self.stack.record_s - REPLACE_S
        young_us = time.time_ns() // 1000 - round(left_s * MICROSECONDS)
        return [
            lap for lap in healthy if lap.name not in relieved and lap.invoked_utc_us > young_us
        ]

    def wait_whole(self) -> None:
        """Wait until nobody takes a lap that was struck for a live one, and enough laps stay.

        Redundant lanes bear one death at a time, and that is what is promised: from the moment on
        at which any of them may die.
        """
        self.stack.until(self.sid, f"{self.lanes} laps record", self._whole, RECOVER_S)

    def _whole(self) -> bool:
        open_laps = [lap for lap in self.stack.recordings.laps(self.sid) if lap.open]
        struck = any(lap.request_id in self.down for lap in open_laps)
        return not struck and len(self.staying()) >= self.lanes

    def wait_segments(self, count: int) -> None:
        """Wait until so many more segments are committed."""
        newest = self.stack.committed(self.sid)
        self.stack.until(
            self.sid,
            f"{count} segments more than {newest}",
            lambda: self.stack.committed(self.sid) >= newest + count,
            RECOVER_S,
        )

    def handed_over(self) -> int:
        """Count the laps that others have relieved."""
        laps = self.stack.recordings.laps(self.sid)
        return sum(lap.reason is Reason.HANDED_OVER for lap in laps)

    def wait_handed_over(self, count: int) -> None:
        """Wait until so many laps have been relieved."""
        most_s = (count + 2) * self.stack.alone_s * 2.0 + RECOVER_S
        self.stack.until(
            self.sid, f"{count} hand-overs", lambda: self.handed_over() >= count, most_s
        )

    def victim(self) -> tuple[Lap, int]:
        """Choose a lap that records, and find its process."""
        deadline = time.monotonic() + RECOVER_S
        while time.monotonic() < deadline and not self.stack.ending.is_set():
            laps = self.healthy()
            while laps:
                lap = laps.pop(self.chance.randrange(len(laps)))
                pid = self.stack.pid(lap)
                if pid is not None:
                    self.down.add(lap.request_id)
                    return lap, pid
            self.pause(0.5)
        raise LabError("there is no lap to strike")


def hand_over(run: Run) -> None:
    """Nothing breaks: laps follow one another by plan."""
    run.wait_handed_over(run.events)
    run.struck = run.handed_over()


def kill(run: Run) -> None:
    """A recorder's process dies by SIGKILL."""
    for _ in range(run.events):
        run.pause(0.5, 8.0)
        run.wait_whole()
        _lap, pid = run.victim()
        os.kill(pid, signal.SIGKILL)
        run.struck += 1
        run.wait_whole()


def kill_all(run: Run) -> None:
    """Every process that records dies at once, whoever relieves whom."""
    for _ in range(run.events):
        run.pause(0.5, 8.0)
        run.wait_whole()
        for lap in run.stack.running(run.sid):
            pid = run.stack.pid(lap)
            if pid is not None:
                run.down.add(lap.request_id)
                os.kill(pid, signal.SIGKILL)
        run.struck += 1
        run.wait_whole()


def hang(run: Run) -> None:
    """A recorder's process is stopped, and wakes as a zombie once others have taken over."""
    for _ in range(run.events):
        run.pause(0.5, 8.0)
        run.wait_whole()
        _lap, pid = run.victim()
        os.kill(pid, signal.SIGSTOP)
        run.struck += 1
        try:
            run.wait_whole()
            run.pause(2.0, 6.0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        run.pause(ZOMBIE_S)


def _store(trouble: Trouble, share: float, run: Run) -> None:
    if run.stack.store is None:
        raise LabError("the stack has no failing store")
    for _ in range(run.events):
        run.pause(0.0, 4.0)
        spell = Spell(trouble, run.chance.randrange(1 << 30), share, run.chance.uniform(0.5, 3.0))
        run.stack.store.begin(run.channel, spell)
        try:
            run.pause(8.0, 14.0)
        finally:
            run.stack.store.end(run.channel)
        run.struck += spell.hits > 0
        run.wait_segments(1)


def store_busy(run: Run) -> None:
    """The store answers most writes with 503."""
    _store(Trouble.BUSY, 0.7, run)


def store_slow(run: Run) -> None:
    """The store takes seconds for a write."""
    _store(Trouble.SLOW, 0.8, run)


def store_conflict(run: Run) -> None:
    """The store answers conditional writes with 409."""
    _store(Trouble.CONFLICT, 0.5, run)


def store_lost_answer(run: Run) -> None:
    """The store writes, and its answer is lost: the repeat is told 412."""
    _store(Trouble.LOST_ANSWER, 0.5, run)


def network_cut(run: Run) -> None:
    """The way to the media server is cut, refuses for a while, and comes back."""
    if run.network is None:
        raise LabError("the run has no network to cut")
    for _ in range(run.events):
        run.pause(0.0, 4.0)
        run.network.cut(refuse=True)
        run.pause(0.5, 3.0)
        run.network.accept()
        run.struck += 1
        run.wait_segments(2)


def network_freeze(run: Run) -> None:
    """The network stands still with every connection open, and goes on."""
    if run.network is None:
        raise LabError("the run has no network to freeze")
    for _ in range(run.events):
        run.pause(0.0, 4.0)
        run.network.freeze()
        run.pause(0.5, 3.0)
        run.network.thaw()
        run.struck += 1
        run.wait_segments(2)


def invoked_again(run: Run) -> None:
    """Orders of laps are delivered twice, late, and in the wrong order."""
    for _ in range(run.events):
        run.pause(0.5, 6.0)
        laps = [
            lap for lap in run.stack.recordings.laps(run.sid) if lap.state is not LapState.INVOKED
        ]
        run.chance.shuffle(laps)
        for lap in [*laps, *laps]:
            order: dict[str, object] = {"sid": run.sid, "lane": lap.lane, "lap": lap.lap}
            if lap.origin.follows:
                order |= {"follows": lap.origin.follows, "relieves": lap.origin.relieves}
            run.stack.functions.invoke(
                FunctionName=f"{run.stack.deployment.outputs['RecordFunction']}:live",
                InvocationType="Event",
                Payload=json.dumps(order).encode(),
            )
        run.struck += 1
        run.wait_segments(2)


def machines_killed(run: Run) -> None:
    """Every execution that belongs to the recording is stopped; laps go on, and follow again."""
    for _ in range(run.events):
        run.pause(0.5, 6.0)
        for execution in run.stack.executions(run.sid):
            run.stack.machines.stop_execution(executionArn=execution, cause="fault lab")
            run.struck += 1
        run.wait_handed_over(run.handed_over() + 1)
        run.wait_whole()


def publisher_restarts(run: Run) -> None:
    """The publisher dies; another encoder starts in its place, with the same clock."""
    run.pause(0.5, 6.0)
    run.feed.restart(run.chance.uniform(0.5, 3.0), 1_000_000, run.stack.ending)
    run.struck += 1


def publisher_away(run: Run) -> None:
    """The publisher dies, and another starts so late that nobody counts as listening any more."""
    run.pause(0.5, 6.0)
    away_s = SILENT_US / MICROSECONDS + run.chance.uniform(0.5, 4.0)
    run.feed.restart(away_s, 1_000_000, run.stack.ending)
    run.struck += 1


def clock_jumps(run: Run) -> None:
    """The source's clock leaps ahead; where its server cannot bear that, with a restart."""
    run.pause(0.5, 6.0)
    if run.leaps:
        run.feed.leap()
    else:
        leap_us = run.chance.randrange(60, 7200) * 1_000_000
        run.feed.restart(run.chance.uniform(0.5, 2.0), leap_us, run.stack.ending)
    run.struck += 1
