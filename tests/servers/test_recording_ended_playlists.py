"""An HLS playlist that ends is recorded once, and waited for like any other publisher."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest

from everreel.state.recording import Reason
from tests.lab import clips
from tests.lab.publisher import Publisher
from tests.lab.servers import LiveHls
from tests.servers.harness import Lap

IDLE_S = 5


@pytest.mark.parametrize("kind", ["fmp4", "ts"])
def test_playlist_when_its_publisher_ends_it_then_the_lap_leaves_when_idle_and_doubles_nothing(
    kind: str, tmp_path: Path
):
    options = {"hls_list_size": "0"}  # every segment stays listed
    with LiveHls(kind) as server, Publisher(
        clips.MAIN, server.target, options={**server.options, **options}, pace=1.5
    ) as publisher:  # fmt: skip
        server.wait_live(2)
        lap = Lap(server.url, tmp_path, idle_s=IDLE_S).start()
        time.sleep(18)
        publisher.stop()
        stopped = time.monotonic()
        outcome = lap.wait(30)
        took_s = time.monotonic() - stopped
        verdict = lap.compared(publisher)

    assert (outcome.reason, outcome.failure) == (Reason.IDLE, None)
    assert took_s < IDLE_S + 6
    assert verdict.exact, verdict
    assert verdict.runs["video"].count > 25 * 20
    assert not lap.holes
    lap.check_index()


def test_playlist_when_it_was_finished_before_then_it_is_recorded_once():
    root = Path(tempfile.mkdtemp(prefix="lab-vod-"))
    with LiveHls("ts") as server:
        options = {**server.options, "hls_list_size": "0"}
        with Publisher(clips.MAIN, server.target, rounds=1, pace=0, options=options) as publisher:
            publisher.wait()
        lap = Lap(server.url, root, idle_s=IDLE_S).start()
        outcome = lap.wait(30)
        verdict = lap.compared(publisher, once=True)

    assert (outcome.reason, outcome.failure) == (Reason.IDLE, None)
    assert verdict.exact, verdict
    assert verdict.runs["video"].count == clips.MAIN.seconds * clips.MAIN.fps
    shutil.rmtree(root)
