"""The playlists and manifests of one recording, judged by hls.js, dash.js and Shaka Player."""

from pathlib import Path

import pytest

from everreel.media import dash, hls
from tests.lab import clips
from tests.media.packaged import ORIGIN_UTC_US, cut, demux, package
from tests.media.players import play, served


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, a gap of two, three of another picture size, three of the first again."""
    tiny, other = demux(clips.TINY.path), demux(clips.TINY_OTHER_SIZE.path)
    packaged = package(
        [
            cut(tiny, 1_000_000),
            cut(other, 1_000_000, at_us=5_000_000),
            cut(tiny, 1_000_000, at_us=8_000_000),
        ]
    )
    folder = tmp_path_factory.mktemp("recording")
    packaged.write(folder)
    inits = {init.number: init for init in packaged.inits}
    entries = [hls.entry(row, inits) for row in packaged.rows]
    (folder / "index.m3u8").write_text(
        hls.media_playlist(entries, target_s=1, kind="vod", ended=True)
    )
    (folder / "manifest.mpd").write_text(
        dash.manifest(
            packaged.rows,
            inits,
            origin_utc_us=ORIGIN_UTC_US,
            live=False,
            duration_us=11_000_000,
        )
    )
    return folder


def test_index_when_hls_js_plays_it_then_every_picture_is_shown_without_an_error(recording):
    with served(recording) as server:
        seen = play("hls", f"{server.url}/index.m3u8", speed=1)
    # hls.js also calls it a stall when the machine is too busy to decode.
    assert set(seen.errors) <= {"bufferStalledError"}
    assert seen.ended
    assert seen.sizes == ["160x90", "208x120"]
    assert seen.frames == 3 * 75
    assert seen.duration == pytest.approx(9, abs=0.02)
    assert len(seen.buffered) == 1


@pytest.mark.parametrize("player", ["dash", "shaka"])
def test_manifest_when_a_dash_player_plays_it_then_the_gap_is_passed_and_the_end_reached(
    recording, player
):
    with served(recording) as server:
        seen = play(player, f"{server.url}/manifest.mpd", speed=1)
    assert seen.errors == []
    assert seen.ended
    assert seen.sizes == ["160x90", "208x120"]
    assert seen.frames > 200, "a player may leave out some pictures where it jumps the gap"
    assert seen.duration == pytest.approx(11, abs=0.02)
    assert [[round(edge) for edge in part] for part in seen.buffered] == [[0, 3], [5, 11]]
