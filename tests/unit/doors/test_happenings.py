"""What really leaves on the bus is what contract/events.py promises."""

from collections.abc import Mapping

from everreel.contract import events
from everreel.contract.wire import Reply
from everreel.events.memory import MemoryBus
from everreel.events.ports import Happening
from everreel.media.segment import Cause, Gap, Segment
from everreel.recorder.package import Packaged
from everreel.recorder.publish import Publisher
from everreel.state.recording import LapOrder, Reason
from tests.unit.doors.memory import SID, Deployment

PROMISED: Mapping[Happening, type[Reply]] = {
    Happening.STARTED: events.RecordingStarted,
    Happening.SEGMENT: events.SegmentCommitted,
    Happening.LAP_ENDED: events.LapEnded,
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
