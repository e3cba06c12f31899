"""The sweep finds what was lost, leaves what is young or well, and its names tell lanes apart."""

from dataclasses import replace

import pytest

from everreel.clock import MICROSECONDS, ManualClock
from everreel.errors import ServiceUnavailable
from everreel.lifecycle.memory import MemoryRunner
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import Options, Progress, Reason, Recording, Reliability
from everreel.state.status import Status
from everreel.supervisor.sweep import YOUNG_S, lane_name, supervision_name, sweep
from tests.unit.supervisor import test_verdict


class Account:
    """Recordings and the machines that should run for them."""

    def __init__(self) -> None:
        self.clock = ManualClock(test_verdict.T0)
        self.recordings = MemoryRecordings()
        self.runner = MemoryRunner()

    def record(self, number: int, reliability: Reliability = Reliability.ECONOMY) -> Recording:
        now_us = self.clock.utc_us()
        sid, ticket = f"{number:032x}", f"ticket-{number}"
        self.recordings.put_ticket(
            Ticket(ticket, "app", f"room-{number}", "recorder", now_us + MICROSECONDS)
        )
        made = self.recordings.create(
            replace(
                test_verdict.recording(Status.STARTING),
                sid=sid,
                channel=f"room-{number}",
                resource_id=ticket,
                options=Options(reliability=reliability),
                created_utc_us=now_us,
            )
        )
        self.runner.supervise(
            sid, reliability.lanes if reliability is not Reliability.SINGLE else ""
        )
        return made

    def end(self, sid: str) -> None:
        now_us = self.clock.utc_us()
        self.recordings.claim(sid, "a", 1, "r", now_us)
        self.recordings.end_lap(sid, "a", 1, Reason.IDLE, None, Progress(Status.STARTING), now_us)

    def sweep(self) -> int:
        return sweep(recordings=self.recordings, runner=self.runner, clock=self.clock)

    def age(self, seconds: float = YOUNG_S + 1) -> None:
        self.clock.advance(float(seconds))


@pytest.fixture
def account() -> Account:
    return Account()


def test_sweep_when_all_machines_run_then_starts_none(account: Account) -> None:
    account.record(1)
    account.record(2, Reliability.REDUNDANT)
    account.record(3, Reliability.SINGLE)
    account.age()
    assert account.sweep() == 0


def test_sweep_when_one_is_lost_then_another_of_its_kind_is_started(account: Account) -> None:
    sid = account.record(1, Reliability.REDUNDANT).sid
    account.record(2)
    account.age()
    stamp = account.clock.utc_us() // MICROSECONDS
    for lost, name in (
        (f"{sid}-b", lane_name(sid, "b", stamp)),
        (sid, supervision_name(sid, stamp)),
    ):
        account.runner.executions.discard(lost)
        assert account.sweep() == 1
        assert name in account.runner.executions
        assert account.sweep() == 0


def test_sweep_when_successors_are_lost_too_then_found_again(account: Account) -> None:
    sid = account.record(1).sid
    account.age()
    for _ in range(3):
        account.runner.executions = {name for name in account.runner.executions if name == sid}
        assert account.sweep() == 2
        account.age(60)


def test_sweep_when_a_recording_is_young_then_left_alone(account: Account) -> None:
    account.record(1)
    account.runner.executions.clear()
    account.age(YOUNG_S)
    assert account.sweep() == 0
    account.age(1)
    assert account.sweep() == 3


def test_sweep_when_a_recording_has_ended_then_only_its_seal_is_missing(account: Account) -> None:
    sid = account.record(1, Reliability.SINGLE).sid
    account.end(sid)
    account.age()
    account.runner.executions.clear()
    assert account.sweep() == 1
    assert len(account.runner.executions) == 1
    account.recordings.mark_sealed(sid, account.clock.utc_us())
    account.runner.executions.clear()
    assert account.sweep() == 0


def test_sweep_when_nothing_is_unsealed_then_nothing_is_listed(account: Account) -> None:
    account.runner.failures = [ServiceUnavailable("the list is not to be asked for")]
    assert account.sweep() == 0


def test_sweep_when_the_service_fails_then_the_error_is_told(account: Account) -> None:
    account.record(1)
    account.age()
    account.runner.failures = [ServiceUnavailable("away")]
    with pytest.raises(ServiceUnavailable):
        account.sweep()
