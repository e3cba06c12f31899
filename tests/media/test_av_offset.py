"""Lips and sound stay together: flash against beep in the recording, as in the source."""

import pytest

from tests.lab import avsync
from tests.servers import takes

BOTH = [
    kind.name
    for kind in takes.KINDS
    if not kind.name.startswith("subscribe") and "only" not in kind.name
]
BOUND_MS = 40
OURS_MS = 2


@pytest.mark.parametrize("name", BOTH)
def test_recording_when_flash_and_beep_are_measured_then_they_are_as_near_as_in_the_source(
    name: str,
):
    take = takes.recorded()[name]
    source = avsync.offsets_ms(take.clip.path)
    marks = avsync.offsets_ms(take.lap.playlist)

    assert len(marks) >= 4
    assert max(map(abs, source)) < 1
    assert max(map(abs, marks)) < OURS_MS < BOUND_MS, marks
