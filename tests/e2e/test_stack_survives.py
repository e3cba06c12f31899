"""Crashes, publishers that leave, a bucket that refuses: the recording tells the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from infra.local.deploy import deploy
from infra.local.engine import LocalEngine
from tests.e2e.bucket_proxy import bucket_proxy
from tests.e2e.deployment import ABNORMAL, EXITED, Deployment, Json, Wish
from tests.e2e.endings import IDLE_S, LATEST_S, LONGEST_S, Ended
from tests.lab.browser import play
from tests.lab.compare import compare
from tests.lab.digests import units_in_playlist
from tests.lab.publisher import Publisher
from tests.lab.servers import NginxRtmp
from tests.lab.validate import accept_mp4, decode_playlist


@pytest.fixture(scope="module")
def ends(ends_under_way: dict[str, Future[Ended]]) -> dict[str, Ended]:
    """Wait for the recordings that were begun with the first test of this folder."""
    return {name: each.result() for name, each in ends_under_way.items()}


# --- the recorder dies ---------------------------------------------------------------------------


def test_crash_when_the_recorder_was_killed_then_another_takes_over_and_the_query_tells_so(
    ends: dict[str, Ended],
) -> None:
    found = ends["killed"].after
    dead, heir = found["laps"][:2]

    assert (found["status"], found["reason"], found["error"]) == (EXITED, "stopped", None)
    assert (dead["state"], dead["reason"]) == ("dead", "recorder_died")
    assert (dead["error"]["code"], dead["error"]["blame"]) == ("recorder_died", "service")
    assert (heir["lane"], heir["why"], heir["follows"]) == ("a", "takeover: a1 recorder_died", "a1")
    assert found["sealedAt"]
    assert ends["killed"].took_s < LATEST_S


def test_crash_when_the_recorder_was_killed_then_only_what_the_gap_declares_is_missing(
    deployed: Deployment, ends: dict[str, Ended]
) -> None:
    killed = ends["killed"]
    text = (killed.folder / "index.m3u8").read_text()
    (gap,) = json.loads((killed.folder / "recording.json").read_text())["gaps"]
    rows = deployed.query(killed.after["sid"], segments=True)["segmentPage"]["items"]
    verdict = compare(
        killed.publisher.units,
        units_in_playlist(killed.folder),
        looped_every_us=killed.publisher.round_us,
    )
    lost = [at for medium, at in verdict.lost if medium == "video"]

    assert text.rstrip().endswith("#EXT-X-ENDLIST")
    assert len(rows) == text.count("#EXTINF") >= 2 * killed.before["segments"]
    assert killed.after["segments"] == len(rows), "also those that no beat told of"
    assert [*verdict.doubled, *verdict.reordered, *verdict.foreign] == [], str(verdict)
    assert lost == list(range(lost[0], lost[0] + len(lost))), "one hole"
    assert gap["cause"] == "takeover"
    assert gap["durationSeconds"] == pytest.approx(len(lost) / 25, abs=0.05)
    assert all(decoded.errors == 0 for decoded in decode_playlist(killed.folder))
    accept_mp4(killed.folder / "recording.mp4")


def test_crash_when_the_recorder_was_killed_then_a_browser_plays_past_the_gap(
    deployed: Deployment, ends: dict[str, Ended]
) -> None:
    found = ends["killed"].after
    with bucket_proxy(deployed.s3, deployed.bucket) as proxy:
        seen = play(f"{proxy.url}/killed/{found['sid']}/index.m3u8", "hls", seconds=60, rate=4)

    # hls.js may hesitate where decoding starts anew, and at the very end; it must not fail there.
    assert not [error for error in seen.errors if error.endswith("(fatal)")], seen
    assert seen.played_s > found["recordedSeconds"] - 1, seen


def test_crash_when_the_recorder_was_killed_then_the_bus_tells_and_the_invocation_is_kept(
    deployed: Deployment, ends: dict[str, Ended]
) -> None:
    found = ends["killed"].after
    kinds = deployed.kinds(found["sid"])
    kept = [body for name, bodies in deployed.queued().items() if "Dead" in name for body in bodies]

    assert kinds.count("LapLost") == 1
    assert kinds.index("LapLost") < kinds.index("LapStarted")
    assert "RecordingFailed" not in kinds
    assert kinds[-1] == "RecordingSealed"
    assert any(found["laps"][0]["requestId"] in body for body in kept)


# --- it ends by itself ---------------------------------------------------------------------------


def test_idle_when_the_publisher_leaves_then_the_recording_exits_by_itself_with_all_it_sent(
    ends: dict[str, Ended],
) -> None:
    left = ends["left"]
    verdict = compare(
        left.publisher.units,
        units_in_playlist(left.folder),
        looped_every_us=left.publisher.round_us,
    )

    assert (left.after["status"], left.after["reason"]) == (EXITED, "idle")
    assert left.after["error"] is None
    assert IDLE_S - 1 <= left.took_s < IDLE_S + 30
    assert verdict.exact, str(verdict)


def test_limit_when_the_longest_duration_is_over_then_the_recording_exits(
    ends: dict[str, Ended],
) -> None:
    found = ends["limited"].after

    assert (found["status"], found["reason"]) == (EXITED, "max_duration")
    assert LONGEST_S - 4 < found["recordedSeconds"] <= LONGEST_S + 1


def test_supervision_when_recordings_have_ended_then_every_execution_has_succeeded(
    deployed: Deployment, ends: dict[str, Ended]
) -> None:
    for end in ends.values():
        assert deployed.supervised_to_the_end(end.after["sid"]) == "SUCCEEDED"


# --- the bucket refuses --------------------------------------------------------------------------


@pytest.fixture
def apart(assemblies: dict[str, Path], tmp_path: Path) -> Iterator[Deployment]:
    """The stack in an engine of its own, to be damaged."""
    with LocalEngine(tmp_path / "engine") as engine:
        outputs = deploy(assemblies["open"], engine.client)
        yield Deployment(engine, outputs, assemblies["open"])


def _remove_bucket(deployment: Deployment) -> dict[str, bytes]:
    """Delete the bucket; gives what was in it."""
    s3, bucket = deployment.s3, deployment.bucket
    kept: dict[str, bytes] = {}
    while keys := deployment.keys():
        for key in keys:
            kept[key] = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
    return kept


def _is_destination_failure(found: Json, bucket: str) -> None:
    assert (found["status"], found["reason"]) == (ABNORMAL, "destination_failed")
    error = found["error"]
    assert (error["code"], error["blame"]) == ("store_denied", "destination")
    assert f"bucket {bucket} does not exist" in error["message"]


def test_bucket_when_it_is_gone_then_recordings_fail_clearly_and_are_sealed_once_it_is_back(
    apart: Deployment, nginx: NginxRtmp, live: Publisher, tmp_path: Path
) -> None:
    running = apart.start(Wish(nginx.rtmp_url(), "running"))["sid"]
    apart.in_progress(running, 2)
    kept = _remove_bucket(apart)
    fresh = apart.start(Wish(nginx.rtmp_url(), "fresh"))["sid"]

    _is_destination_failure(apart.sealed(fresh), apart.bucket)
    broken = apart.until(running, "it fails", lambda r: r["status"] == ABNORMAL)
    _is_destination_failure(broken, apart.bucket)
    assert broken["sealedAt"] is None, "there is nothing to seal it from"
    assert apart.query(fresh)["files"] == []

    apart.s3.create_bucket(Bucket=apart.bucket)
    for key, body in kept.items():
        apart.s3.put_object(Bucket=apart.bucket, Key=key, Body=body)
    apart.invoke("SealFunction", {"sid": running})

    found = apart.sealed(running)
    assert (found["status"], found["reason"]) == (ABNORMAL, "destination_failed")
    folder = apart.download(running, tmp_path / "running")
    accept_mp4(folder / "recording.mp4")
