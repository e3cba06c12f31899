"""One run of one case: start, let it break, wait until it is whole, stop, judge."""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat

from everreel.state.recording import Reason
from everreel.state.status import Status
from tests.e2e.deployment import Wish
from tests.fault.lab.cases import Case
from tests.fault.lab.harness import IDLE_S, SEGMENT_S, LabStack, Sealed
from tests.fault.lab.injectors import Run
from tests.fault.lab.judge import LEAP_US, STALL_US, Judgement, judge
from tests.fault.proxy import Proxy
from tests.lab.process import LabError

SEAL_S = 90.0
BEGIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run to be made.

    Attributes:
        seed: of the whole session; the run's own chance follows from it, the case and the number.
        events: how often the fault strikes.
    """

    case: Case
    number: int
    seed: int
    events: int = 1

    @property
    def chance(self) -> random.Random:
        """The run's own chance."""
        return random.Random(f"{self.seed}/{self.case.name}/{self.number}")

    @property
    def channel(self) -> str:
        """The run's channel."""
        return f"{self.case.name.replace('/', '-')}-{self.number}"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        problems: everything that should not be, one sentence each; none if all is well.
        judgement: None if there was nothing to judge.
        struck: how often the fault really struck.
        laps: how many laps the recording took.
        took_s: from start to sealed, seconds.
    """

    plan: Plan
    problems: tuple[str, ...]
    judgement: Judgement | None
    struck: int
    laps: int
    took_s: float

    @property
    def held(self) -> bool:
        """Whether every invariant held."""
        return not self.problems


def record(stack: LabStack, plan: Plan, *, margin: float = 1.0, keep: Path | None = None) -> Result:
    """Make one run; whatever goes wrong stands in the result.

    Args:
        stack: where.
        plan: what.
        margin: times the longest gap that is allowed, for machines that are busy otherwise.
        keep: where the recording of a run that failed is put, to be looked at.
    """
    began = time.monotonic()
    run: Run | None = None
    problems: list[str] = []
    judgement: Judgement | None = None
    laps = 0
    try:
        with ExitStack() as exits:
            run = _begin(stack, plan, exits)
            _go_on(run, plan, problems)
            laps = len(stack.recordings.laps(run.sid))
            sealed = stack.sealed(run.sid, run.channel)
            judgement = _judge(run, plan, sealed, problems, margin)
            if problems and keep is not None:
                _keep(run, sealed.folder, keep / plan.channel)
            shutil.rmtree(sealed.folder)
    except LabError as error:
        problems.append(str(error))
    except Exception:  # noqa: BLE001 - one run must not take the others with it
        problems.append(traceback.format_exc(limit=-4))
    struck = run.struck if run is not None else 0
    if not struck and not problems:
        problems.append("the fault never struck")
    took_s = time.monotonic() - began
    return Result(plan, tuple(problems), judgement, struck, laps, took_s)


def _begin(stack: LabStack, plan: Plan, exits: ExitStack) -> Run:
    """Put the source on air and start recording it."""
    case, chance = plan.case, plan.chance
    leap_s = chance.randrange(20, 7200) if case.leaps else 0
    feed = (
        exits.enter_context(stack.stage.own(case.protocol, leap_s=leap_s))
        if case.own_feed
        else stack.stage.shared(case.protocol)
    )
    network = exits.enter_context(Proxy(feed.ends.port)) if case.fault.network else None
    wish = Wish(
        network.through(feed.url) if network is not None else feed.url,
        plan.channel,
        recorder_uid=plan.channel,
        segment_s=SEGMENT_S,
        idle_s=IDLE_S,
        options={"reliability": case.reliability.value},
    )
    return Run(
        stack=stack,
        sid=stack.start(wish),
        channel=plan.channel,
        chance=chance,
        feed=feed,
        events=plan.events,
        lanes=case.reliability.lanes,
        network=network,
        leaps=case.leaps,
    )


def _go_on(run: Run, plan: Plan, problems: list[str]) -> None:
    """Let it break, wait until it is whole, stop; a recording that ended is judged all the same."""
    stack = run.stack
    try:
        stack.until(run.sid, "2 segments", lambda: stack.committed(run.sid) >= 1, BEGIN_S)
        run.wait_whole()
        plan.case.fault.inject(run)
        run.wait_segments(3)
    except LabError as error:
        problems.append(str(error))
    stack.stop(run.sid)
    stack.until(run.sid, "sealed", lambda: stack.recording(run.sid).sealed_utc_us, SEAL_S)
    recording = stack.recording(run.sid)
    if (recording.status, recording.reason) != (Status.EXITED, Reason.STOPPED):
        problems.append(f"it ended {int(recording.status)} {recording.reason} {recording.failure}")


def _judge(run: Run, plan: Plan, sealed: Sealed, problems: list[str], margin: float) -> Judgement:
    seam_us = LEAP_US if margin == 1 else STALL_US
    leap_us = seam_us if plan.case.leaps else 0
    found = judge(sealed.parts, run.feed.sent, sealed.gaps, leap_us=leap_us)
    problems += [f"verify: {trouble}" for trouble in sealed.troubles]
    problems += found.faults
    problems += _too_long(found.missing_s, plan.case.longest_s * margin)
    return found


def _keep(run: Run, recording: Path, folder: Path) -> None:
    """Put a recording that failed aside, with its rows and what its functions said of it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(recording, folder)
    row = run.stack.recordings.find(run.sid)
    laps = run.stack.recordings.laps(run.sid)
    (folder / "rows.txt").write_text("\n".join(pformat(each) for each in (row, *laps)))
    (folder / "log.txt").write_text("\n".join(run.stack.said(run.sid)))


def _too_long(missing_s: Sequence[float], longest_s: float) -> list[str]:
    return [
        f"{length_s:.2f} s lost, {longest_s:g} s at most are promised"
        for length_s in missing_s
        if length_s > longest_s
    ]
