"""How a task is, by what its looks found; by hearsay only where they found nothing."""

from typing import Any

import pytest

from everreel.events.facts import Facts
from everreel.state.recording import ProviderName
from everreel.state.vendor import Call, VendorTask, VendorWatch
from everreel.supervisor.hints import health_of
from everreel.supervisor.provider import Health
from tests.unit.supervisor.scripted_vendor import ORDER, SID

NOTHING = Facts()
RUNS = {"call": Call.QUERY, "task": "task", "running_utc_us": 1}
STARTS = {"call": Call.QUERY, "task": "task"}


@pytest.mark.parametrize(
    ("watch", "ending", "hearsay", "health"),
    [
        ({}, "", NOTHING, Health.UNKNOWN),
        ({"trouble": "failing"}, "", NOTHING, Health.UNKNOWN),
        (STARTS, "", Facts(started=True, exited=True), Health.STARTING),
        (RUNS, "", Facts(exited=True, abnormal=True), Health.RUNNING),
        ({**RUNS, "trouble": "failing"}, "", NOTHING, Health.UNKNOWN),
        ({**RUNS, "trouble": "gone"}, "", Facts(started=True), Health.RUNNING),
        ({**RUNS, "trouble": "gone"}, "", Facts(started=True, exited=True), Health.ENDED),
        ({**RUNS, "trouble": "gone"}, "", Facts(exited=True, abnormal=True), Health.FAILED),
        ({**RUNS, "trouble": "ending"}, "", NOTHING, Health.ENDING),
        ({**RUNS, "call": Call.STOP}, "", NOTHING, Health.ENDING),
        ({**RUNS, "call": Call.STOP}, "stopped", NOTHING, Health.ENDED),
        (RUNS, "exited", NOTHING, Health.ENDED),
        (RUNS, "lost", Facts(started=True), Health.FAILED),
        ({}, "refused", NOTHING, Health.FAILED),
    ],
)
def test_health_when_looks_and_notices_differ_then_the_looks_count(
    watch: dict[str, Any], ending: str, hearsay: Facts, health: Health
) -> None:
    seen = VendorWatch(SID, **watch)
    task = VendorTask(SID, ProviderName.AGORA, ORDER, seen, created_utc_us=1, ending=ending)
    assert health_of(task, hearsay) is health
