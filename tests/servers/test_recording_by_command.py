"""`everreel record` as a person uses it: a folder to play, and an exit status that is true."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.lab import clips, validate
from tests.lab.compare import compare
from tests.lab.digests import load, playlist_parts, units_in_playlist
from tests.lab.process import Child, free_port
from tests.lab.publisher import Publisher
from tests.lab.servers import NodeMediaServer

ROOT = Path(__file__).resolve().parents[2]


def started(tmp_path: Path, *arguments: str) -> Child:
    argv = [sys.executable, "-m", "everreel.cli", "record", *arguments, "--out", str(tmp_path)]
    env = {"PYTHONPATH": str(ROOT / "functions")}
    return Child(argv, tmp_path / "log", cwd=tmp_path, env=env)


@pytest.mark.parametrize("ends", ["by ctrl-c", "by its duration"])
def test_record_when_it_ends_then_the_folder_plays_and_holds_every_unit(ends: str, tmp_path: Path):
    with NodeMediaServer() as server, Publisher(clips.MAIN, server.rtmp_url()) as publisher:
        time.sleep(2.2)
        more = ["--duration", "7"] if ends == "by its duration" else []
        child = started(tmp_path, server.rtmp_url(), "--segment", "2", *more)
        try:
            if ends == "by ctrl-c":
                time.sleep(8)
                child.signal(signal.SIGINT)
            status = child.wait(30)
        finally:
            child.stop()

    (playlist,) = tmp_path.rglob("index.m3u8")
    parts, ended = playlist_parts(load(str(playlist)).decode(), str(playlist))
    verdict = compare(
        publisher.units, units_in_playlist(playlist), looped_every_us=publisher.round_us
    )
    assert status == 0, child.tail()
    assert ended
    assert len(parts) >= 3
    assert verdict.exact, verdict
    assert verdict.runs["video"].count >= 25 * 4
    assert not any(decoded.errors for decoded in validate.decode_playlist(playlist))
    (movie,) = tmp_path.rglob("recording.mp4")
    validate.accept_mp4(movie)


def test_record_when_nobody_listens_then_it_says_so_and_fails(tmp_path: Path):
    child = started(tmp_path, f"rtmp://127.0.0.1:{free_port()}/live/x", "--idle", "2")
    try:
        status = child.wait(20)
    finally:
        child.stop()

    assert status == 1
    assert "source_unreachable" in child.tail()
    assert not list(tmp_path.rglob("*.m3u8"))
