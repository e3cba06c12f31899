"""One recording through the deployed HTTP API, from acquire to the players after the seal."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bucket_proxy import bucket_proxy
from tests.e2e.deployment import EXITED, IN_PROGRESS, Answer, Deployment, Json, Wish
from tests.lab.browser import Playback, play
from tests.lab.compare import compare
from tests.lab.digests import demuxed, units_in_playlist
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp
from tests.lab.validate import accept_mp4, accept_playlist

SHOWN_LIVE = ("live.m3u8", "index.m3u8")
PLAYED_S = 3.0


@dataclass
class Story:
    """What a caller saw, step by step."""

    resource_id: str
    start: Answer
    repeated: Answer
    claimed_by: str
    running: Json
    played: dict[str, Playback]
    listed: Answer
    stop: Answer
    sealed: Json
    stop_again: Answer
    folder: Path

    @property
    def sid(self) -> str:
        sid: str = self.start.body["sid"]
        return sid


def _follow(deployed: Deployment, source: str, folder: Path) -> Story:
    wish = Wish(source, "lobby")
    resource_id = deployed.acquire("lobby")
    body = {**wish.body(), "resourceId": resource_id}
    del body["recorderUid"]
    start = deployed.call("POST", "/v1/start", body)
    assert start.status == 202, start
    sid = start.body["sid"]
    repeated = deployed.call("POST", "/v1/start", body)
    running = deployed.in_progress(sid, 4)
    served_by = deployed.recorder(start.body["requestId"])
    with (
        bucket_proxy(deployed.s3, deployed.bucket) as proxy,
        ThreadPoolExecutor() as pool,
    ):
        looks = {
            name: pool.submit(play, f"{proxy.url}/lobby/{sid}/{name}", "hls", seconds=PLAYED_S)
            for name in SHOWN_LIVE
        }
        played = {name: look.result() for name, look in looks.items()}
    assert deployed.query(sid)["status"] == IN_PROGRESS, "it was played while it was recorded"
    listed = deployed.call("GET", "/v1/recordings")
    stop = deployed.stop(sid)
    sealed = deployed.sealed(sid)
    return Story(
        resource_id=resource_id,
        start=start,
        repeated=repeated,
        claimed_by=served_by.request_id if served_by and served_by.request_id else "",
        running=running,
        played=played,
        listed=listed,
        stop=stop,
        sealed=sealed,
        stop_again=deployed.stop(sid),
        folder=deployed.download(sid, folder),
    )


@pytest.fixture(scope="module")
def story(deployed: Deployment, nginx: NginxRtmp, live: Publisher, tmp_path_factory: Any) -> Story:
    """One recording of an RTMP stream, told once for all tests below."""
    return _follow(deployed, nginx.rtmp_url(), tmp_path_factory.mktemp("story"))


def test_start_when_accepted_then_the_answer_names_the_invocation_that_records(
    deployed: Deployment, story: Story
) -> None:
    request_id = story.start.body["requestId"]

    assert story.start.body["status"] == 2
    assert story.start.body["resourceId"] == story.resource_id
    assert story.claimed_by == request_id
    assert story.running["laps"][0]["requestId"] == request_id
    logged = [line for line in deployed.logs("record-lap") if request_id in line]
    assert logged, "the recorder's log shows the request id that the caller was given"
    assert story.start.headers["x-request-id"] != request_id, "the API's own is another one"


def test_start_when_the_resource_id_is_used_again_then_it_is_the_same_recording(
    story: Story,
) -> None:
    assert story.repeated.status == 202
    for name in ("sid", "requestId", "resourceId"):
        assert story.repeated.body[name] == story.start.body[name]


@pytest.mark.parametrize("name", SHOWN_LIVE)
def test_playlist_when_played_during_the_recording_then_the_browser_shows_it(
    story: Story, name: str
) -> None:
    seen = story.played[name]

    assert seen.started
    assert seen.frames > 0
    assert seen.played_s >= PLAYED_S
    assert [each for each in seen.errors if each.endswith("(fatal)")] == []
    assert (seen.width, seen.height) == (640, 360)


def test_list_when_a_recording_runs_then_it_is_there(story: Story) -> None:
    (found,) = [r for r in story.listed.body["recordings"] if r["sid"] == story.sid]

    assert (found["status"], found["channel"], found["uid"]) == (IN_PROGRESS, "lobby", "camera")


def test_stop_when_it_was_carried_out_then_the_recording_is_sealed_and_tells_so(
    story: Story,
) -> None:
    assert story.stop.status == 202
    assert story.sealed["status"] == EXITED
    assert story.sealed["reason"] == "stopped"
    assert story.sealed["error"] is None
    assert story.sealed["coverage"] > 0.99
    assert all(each["ready"] is not False for each in story.sealed["files"])


def test_stop_when_the_recording_has_exited_then_409_says_so(story: Story) -> None:
    assert story.stop_again.status == 409
    assert story.stop_again.body["code"] == "already_ended"
    assert story.stop_again.body["fix"]


def test_query_when_the_recording_has_exited_then_it_still_answers(
    deployed: Deployment, story: Story
) -> None:
    found = deployed.query(story.sid, segments=True)

    assert found["status"] == EXITED
    assert len(found["segmentPage"]["items"]) == found["segments"] >= 4


def test_files_when_sealed_then_the_bucket_holds_what_query_and_manifest_say(
    deployed: Deployment, story: Story
) -> None:
    told = {each["key"] for each in story.sealed["files"]}
    told |= {s["key"] for s in deployed.query(story.sid, segments=True)["segmentPage"]["items"]}

    assert told == set(deployed.keys(story.sid))
    manifest = json.loads((story.folder / "recording.json").read_text())
    for segment in manifest["segments"]:
        body = (story.folder / segment["key"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == segment["sha256"]
    assert (manifest["gaps"], manifest["missing"]) == ([], [])


def test_units_when_sealed_then_they_are_those_that_the_publisher_sent(
    story: Story, live: Publisher
) -> None:
    verdict = compare(live.units, units_in_playlist(story.folder), looped_every_us=live.round_us)

    assert verdict.exact, str(verdict)
    assert set(verdict.runs) == {"video", "audio"}
    manifest = json.loads((story.folder / "recording.json").read_text())
    told = {m: sum(s["units"][m] for s in manifest["segments"]) for m in verdict.runs}
    assert told == {medium: run.count for medium, run in verdict.runs.items()}


def test_mp4_when_sealed_then_every_judge_accepts_it_and_no_unit_is_missing(story: Story) -> None:
    path = story.folder / "recording.mp4"

    accept_mp4(path)
    shas = sorted(unit.sha for unit in demuxed(path))
    assert shas == sorted(unit.sha for unit in units_in_playlist(story.folder))


def test_segments_when_sealed_then_every_judge_accepts_them(story: Story) -> None:
    accept_playlist(story.folder / "index.m3u8")


@pytest.mark.parametrize(
    ("player", "name"),
    [("hls", "index.m3u8"), ("dash", "manifest.mpd"), ("shaka", "manifest.mpd")],
)
def test_recording_when_sealed_then_players_play_it_from_the_bucket(
    deployed: Deployment, story: Story, player: Any, name: str
) -> None:
    with bucket_proxy(deployed.s3, deployed.bucket) as proxy:
        seen = play(f"{proxy.url}/lobby/{story.sid}/{name}", player, seconds=3, rate=2)

    assert seen.errors == []
    assert seen.frames > 0
    # At a stop sound may reach some frames further than pictures; dash.js ends with the pictures.
    assert seen.duration == pytest.approx(story.sealed["recordedSeconds"], abs=0.25)


def test_events_when_a_recording_lives_and_ends_then_the_bus_tells_its_story(
    deployed: Deployment, story: Story
) -> None:
    deployed.event_of(story.sid, "RecordingSealed")
    kinds = deployed.kinds(story.sid)

    assert set(kinds) == {"RecordingStarted", "SegmentCommitted", "LapEnded", "RecordingSealed"}
    assert kinds.count("SegmentCommitted") == story.sealed["segments"]
    assert kinds.count("RecordingSealed") == 1
