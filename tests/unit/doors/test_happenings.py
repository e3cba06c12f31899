"""What really leaves on the bus is what contract/events.py promises."""

from collections.abc import Mapping
from dataclasses import asdict

from everreel.contract import events
from everreel.contract.wire import Reply
from everreel.events.memory import MemoryBus
from everreel.events.ports import Happening
from everreel.media.segment import Cause, Gap, Segment
from everreel.recorder.package import Packaged
from everreel.recorder.publish import Publisher
from everreel.state.recording import LapOrder, Reason, Reliability
from everreel.state.vendor import Call
from tests.unit.doors.memory import SID, Deployment
from tests.unit.supervisor.scripted_vendor import BROKEN
from tests.unit.supervisor.vendor_world import VendorWorld

PROMISED: Mapping[Happening, type[Reply]] = {
    Happening.STARTED: events.RecordingStarted,
    Happening.SEGMENT: events.SegmentCommitted,
    Happening.LAP_STARTED: events.LapStarted,
    Happening.LAP_ENDED: events.LapEnded,
    Happening.LAP_LOST: events.LapLost,
    Happening.SEALED: events.RecordingSealed,
    Happening.FAILED: events.RecordingFailed,
}


def kept(bus: MemoryBus) -> list[Happening]:
    """Read every event as a subscriber does; return their kinds."""
    for event in bus.published:
        PROMISED[event.kind].model_validate({"sid": event.sid, **event.detail})
    return [event.kind for event in bus.published]


def test_segment_when_published_then_its_events_are_as_promised(deployment: Deployment) -> None:
    recording = deployment.add_recording()
    deployment.recordings.claim(SID, "a", 1, "r", deployment.clock.utc_us())
    publisher = Publisher(
        recording,
        LapOrder(SID, "a", 1),
        store=deployment.store,
        recordings=deployment.recordings,
        bus=deployment.bus,
    )
    publisher.origin_utc_us = deployment.clock.utc_us()
    inside = Gap(Cause.OUTAGE, 8_000_000, 1_000_000)
    for k, gap in enumerate((None, inside)):
        start_us = k * 6_000_000
        segment = Segment(k, start_us, start_us + 6_000_000, (), {}, gap=gap)
        publisher.publish(Packaged(segment, b"media", (), (), {}))
    assert kept(deployment.bus) == [Happening.STARTED, Happening.SEGMENT, Happening.SEGMENT]
    assert publisher.recorded_us == 11_000_000


def test_lap_and_seal_when_they_end_then_their_events_are_as_promised(
    deployment: Deployment,
) -> None:
    deployment.add_recording(source="rtmp://127.0.0.1/live/x")
    deployment.wiring.record_lap(SID, "a", 1, request_id="r", remaining_s=60)
    assert deployment.wiring.seal(SID, remaining_s=900.0).sealed
    assert kept(deployment.bus) == [Happening.LAP_ENDED, Happening.SEALED]
    ended = events.LapEnded.model_validate({"sid": SID, **deployment.bus.published[0].detail})
    assert ended.reason == Reason.SOURCE_FAILED
    assert ended.error is not None
    assert ended.error.code == "source_refused"


def test_relay_when_a_lap_is_lost_then_its_events_are_as_promised(deployment: Deployment) -> None:
    deployment.add_recording(reliability=Reliability.ECONOMY)
    now_us = deployment.clock.utc_us()
    deployment.recordings.claim(SID, "a", 1, "r", now_us)
    deployment.clock.advance(60.0)
    watch = {"sid": SID, "lane": "a"}
    waiting, seen, _ = deployment.wiring.plan_lap(watch, owner="e", lost="")
    assert waiting.action == "wait"
    deployment.clock.advance(float(waiting.wait_s))
    due, seen, _ = deployment.wiring.plan_lap(asdict(seen), owner="e", lost="")
    assert due.action == "run"
    assert deployment.wiring.start_lap(asdict(seen), owner="e", token="t") == "a2"
    assert kept(deployment.bus) == [Happening.LAP_LOST, Happening.LAP_STARTED]
    started = events.LapStarted.model_validate({"sid": SID, **deployment.bus.published[1].detail})
    assert started.why == "takeover: a1 recorder_died"
    assert (started.lane, started.lap, started.attempt, started.follows) == ("a", 2, 1, "a1")


def test_recording_at_a_vendor_when_it_lives_and_fails_then_its_events_are_as_promised() -> None:
    world = VendorWorld()
    world.run(until_s=30)
    world.stop()
    assert kept(world.bus) == [Happening.STARTED, Happening.SEALED]
    failing = VendorWorld({Call.START: [BROKEN]})
    failing.run()
    assert kept(failing.bus) == [Happening.FAILED, Happening.SEALED]
