"""Seal closes a recording from the store alone, tells what is missing, and repeats harmlessly."""

import hashlib
import json
from dataclasses import replace

import av
import pytest

from everreel.clock import ManualClock
from everreel.errors import RecordingNotFound, SourceUnsupported
from everreel.events.memory import MemoryBus
from everreel.events.ports import Happening
from everreel.ids import new_sid
from everreel.media.access_unit import AccessUnit, TrackFormat
from everreel.media.index import Container
from everreel.media.segmenter import Segmenter
from everreel.media.timeline import Timeline
from everreel.recorder.package import Packager
from everreel.recorder.publish import Publisher
from everreel.sealing.seal import SealReport, seal
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import (
    LapOrder,
    Mode,
    Options,
    Progress,
    Reason,
    Recording,
)
from everreel.state.status import Status
from everreel.store.memory import MemoryStore
from tests.unit.media.isobmff.media_samples import AAC, VIDEO
from tests.unit.media.streams import stream


class House:
    """A recording made of a synthetic stream, with everything in memory."""

    def __init__(self, *, seconds: float = 14, container: Container = Container.FMP4) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.recordings = MemoryRecordings()
        self.bus = MemoryBus()
        now_us = self.clock.utc_us()
        self.recordings.put_ticket(Ticket("r", "app", "room", "1", now_us + 300_000_000))
        self.recording = self.recordings.create(
            Recording(
                sid=new_sid(),
                app="app",
                channel="room",
                uid="1",
                recorder_uid="1",
                resource_id="r",
                source="rtmp://media.example/live/secret-key",
                mode=Mode.INDIVIDUAL,
                options=Options(container=container),
                status=Status.STARTING,
                created_utc_us=now_us,
            )
        )
        self.sid = self.recording.sid
        self.order = LapOrder(self.sid, "a", 1)
        self.recordings.invoked(self.sid, "a", 1, "request", now_us)
        self.recordings.claim(self.sid, "a", 1, "request", now_us)
        self._record(seconds, container)

    def _record(self, seconds: float, container: Container) -> None:
        publisher = Publisher(
            self.recording,
            self.order,
            store=self.store,
            recordings=self.recordings,
            bus=self.bus,
        )
        publisher.origin_utc_us = self.clock.utc_us()
        timeline, segmenter = Timeline(), Segmenter(6_000_000)
        packager = Packager(container)
        segments = []
        for arrival in stream(seconds, reorder=2) if seconds else []:
            event = arrival.event
            if isinstance(event, TrackFormat):
                event = replace(VIDEO if event.width else AAC, timescale=1000, wrap=2**32)
            elif isinstance(event, AccessUnit) and event.data.startswith(b"\0"):
                kind = b"\x65" if event.keyframe else b"\x41"
                event.data = (len(event.data) - 4).to_bytes(4, "big") + kind + event.data[5:]
            segments += segmenter.feed(timeline.feed([event], arrival.at_us))
        for segment in [*segments, *segmenter.flush()]:
            publisher.publish(packager.package(segment))

    def end(self, reason: Reason = Reason.STOPPED) -> None:
        progress = Progress(Status.IN_PROGRESS)
        self.recordings.end_lap(self.sid, "a", 1, reason, None, progress, self.clock.utc_us())

    def seal(self, poster=lambda media: b"jpeg") -> SealReport:
        return seal(
            self.sid,
            recordings=self.recordings,
            store=self.store,
            bus=self.bus,
            clock=self.clock,
            poster=poster,
        )

    def objects(self) -> set[str]:
        folder = f"room/{self.sid}/"
        return {info.key.removeprefix(folder) for info in self.store.list("")}

    def read(self, name: str) -> bytes:
        return self.store.get(f"room/{self.sid}/{name}")

    def remove(self, name: str) -> None:
        self.store.delete(f"room/{self.sid}/{name}")


def test_seal_when_a_lap_is_live_then_nothing_is_written() -> None:
    house = House()
    before = house.objects()
    report = house.seal()
    assert not report.sealed
    assert house.objects() == before


def test_seal_when_recording_has_ended_then_every_final_object_is_there() -> None:
    house = House()
    house.end()
    report = house.seal()
    assert report == SealReport(True, Status.EXITED, 3, 14_000_000)
    final = {
        "index.m3u8",
        "live.m3u8",
        "manifest.mpd",
        "recording.json",
        "recording.mp4",
        "poster.jpg",
    }
    assert final <= house.objects()
    assert house.read("index.m3u8").endswith(b"#EXT-X-ENDLIST\n")
    assert house.read("index.m3u8").count(b"#EXTINF") == 3
    assert house.bus.published[-1].kind is Happening.SEALED


def test_seal_when_run_twice_then_the_second_changes_nothing() -> None:
    house = House()
    house.end()
    first = house.seal()
    objects = {key: house.read(key) for key in house.objects()}
    house.clock.advance(60)
    events = len(house.bus.published)
    assert house.seal() == first
    assert {key: house.read(key) for key in house.objects()} == objects
    assert len(house.bus.published) == events


def test_manifest_when_sealed_then_its_chain_follows_from_the_objects() -> None:
    house = House()
    house.end()
    house.seal()
    document = json.loads(house.read("recording.json"))
    link = hashlib.sha256(house.sid.encode()).digest()
    for segment in document["segments"]:
        digest = hashlib.sha256(house.read(segment["key"])).digest()
        link = hashlib.sha256(link + digest).digest()
        assert segment["chain"] == link.hex()
    assert document["chain"] == link.hex()
    assert document["coverage"] == 1.0
    assert b"secret-key" not in house.read("recording.json")


@pytest.mark.parametrize("container", list(Container))
def test_mp4_when_made_then_it_holds_every_unit(container: Container, tmp_path) -> None:
    house = House(container=container)
    house.end()
    house.seal()
    path = tmp_path / "recording.mp4"
    path.write_bytes(house.read("recording.mp4"))
    with av.open(str(path)) as file:
        kinds = [packet.stream.type for packet in file.demux() if packet.size]
    rows = list(house.recordings.segments(house.sid))
    assert kinds.count("video") == 350
    assert len(kinds) == sum(t.units for row in rows for t in row.tracks)
    assert ("manifest.mpd" in house.objects()) == (container is Container.FMP4)


def test_seal_when_a_segment_is_gone_then_it_is_named_and_left_out() -> None:
    house = House()
    house.end()
    lost = next(iter(house.recordings.segments(house.sid))).key
    house.remove(lost)
    report = house.seal()
    assert report.segments == 2
    assert json.loads(house.read("recording.json"))["missing"] == [lost]
    assert lost.encode() not in house.read("index.m3u8")


def test_seal_when_every_segment_is_gone_then_the_manifest_alone_tells_it() -> None:
    house = House()
    house.end()
    for row in house.recordings.segments(house.sid):
        house.remove(row.key)
    report = house.seal()
    assert (report.sealed, report.segments) == (True, 0)
    document = json.loads(house.read("recording.json"))
    assert len(document["missing"]) == 3
    assert document["files"] == {}
    assert "recording.mp4" not in house.objects()


def test_seal_when_nothing_was_recorded_then_no_object_is_made() -> None:
    house = House(seconds=0)
    house.end(Reason.SOURCE_FAILED)
    report = house.seal()
    assert report == SealReport(True, Status.ABNORMAL)
    assert house.objects() == set()


def test_seal_when_recorder_died_then_what_is_committed_is_kept_and_status_tells_it() -> None:
    house = House()
    house.end(Reason.FAULT)
    report = house.seal()
    assert report.status is Status.ABNORMAL
    assert report.segments == 3
    assert json.loads(house.read("recording.json"))["reason"] == "fault"


def test_seal_when_the_poster_fails_then_the_recording_is_sealed_without_one() -> None:
    def no_picture(_: bytes) -> bytes:
        raise SourceUnsupported("no picture")

    house = House()
    house.end()
    assert house.seal(no_picture).sealed
    assert "poster.jpg" not in house.objects()


def test_seal_when_sid_is_unknown_then_it_says_so() -> None:
    house = House(seconds=0)
    house.sid = "0" * 32
    with pytest.raises(RecordingNotFound):
        house.seal()
