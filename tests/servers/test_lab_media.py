"""The lab's odd streams, measures and judges do what they say."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.lab import avsync, clips, publish_flv, validate
from tests.lab.browser import play
from tests.lab.compare import compare
from tests.lab.digests import demuxed, from_json
from tests.lab.play import pull
from tests.lab.publish_flv import AUDIO, VIDEO, HttpFlv
from tests.lab.publisher import Publisher
from tests.lab.wire import flv_file, http_body, rtmp_to_flv, rtsp_units

STREAMS = Path(__file__).resolve().parents[1] / "data" / "streams"
PLAIN = publish_flv.from_clip(clips.TINY)
OTHER = publish_flv.from_clip(clips.TINY_OTHER_SIZE)

ODD = {
    "late audio": publish_flv.late_track(PLAIN, AUDIO, 1000),
    "wrap": publish_flv.wrap32(PLAIN, 1000),
    "jump forward": publish_flv.jump(PLAIN, 1000, 3_600_000),
    "restart at zero": publish_flv.jump(publish_flv.shifted(PLAIN, 90_000), 91_000, -1_000_000),
    "outage": publish_flv.outage(PLAIN, 1000, 2000),
    "outage compressed": publish_flv.outage(PLAIN, 1000, 2000, compressed=True),
    "size change": publish_flv.then(PLAIN, OTHER),
    "corrupt payloads": publish_flv.corrupt_payloads(PLAIN),
    "empty tags": publish_flv.empty_tags(PLAIN),
    "equal timestamps": publish_flv.same_dts(PLAIN),
}


@pytest.mark.parametrize("name", ODD)
def test_http_flv_when_a_script_is_odd_then_a_player_still_gets_its_units(name: str):
    script = ODD[name]
    with HttpFlv(script, pace=0) as server:
        got = pull(server.url, 10)

    verdict = compare(publish_flv.units(script), got)
    assert verdict.exact, verdict


def test_http_flv_when_players_come_again_then_each_gets_the_next_script():
    with HttpFlv(PLAIN, OTHER, pace=0, chunked=False) as server:
        first, second = pull(server.url, 10), pull(server.url, 10)

    assert compare(publish_flv.units(PLAIN), first).exact
    assert compare(publish_flv.units(OTHER), second).exact


def test_late_track_when_video_is_late_then_its_header_comes_with_its_first_keyframe():
    script = publish_flv.late_track(PLAIN, VIDEO, 1000)
    video = publish_flv.only(script, VIDEO)

    assert publish_flv.is_header(video[0].tag)
    assert publish_flv.is_key(video[1].tag)
    assert video[0].tag.timestamp == video[1].tag.timestamp


def test_headers_after_first_keyframe_when_bent_then_they_follow_it():
    kinds = [publish_flv.is_header(t.tag) for t in
             publish_flv.headers_after_first_keyframe(PLAIN)]  # fmt: skip
    script = publish_flv.headers_after_first_keyframe(PLAIN)

    assert publish_flv.is_key(script[kinds.index(True) - 1].tag)


def test_outage_when_compressed_then_timestamps_hide_it_and_sending_does_not():
    script = publish_flv.outage(PLAIN, 1000, 2000, compressed=True)
    steps = [(b.due_ms - a.due_ms, b.tag.timestamp - a.tag.timestamp)
             for a, b in pairwise(script)]  # fmt: skip

    due, stamped = max(steps)
    assert due > 950
    assert stamped < 100


@pytest.mark.parametrize(
    "clip", [clips.MAIN, clips.OPUS, clips.AUDIO_44100], ids=lambda clip: clip.name
)
def test_avsync_when_a_clip_is_measured_then_flash_and_beep_are_together(clip: clips.Clip):
    offsets = avsync.offsets_ms(clip.path)

    assert len(offsets) >= clip.seconds - 2
    assert max(abs(offset) for offset in offsets) < 1


@pytest.mark.parametrize("shift_ms", [-120, 60])
def test_avsync_when_sound_is_shifted_then_the_measure_says_by_how_much(
    tmp_path: Path, shift_ms: int
):
    script = publish_flv.shifted(publish_flv.from_clip(clips.MAIN, 5000), 1000)
    moved = [
        publish_flv.shifted([item], shift_ms)[0] if item.tag.kind == AUDIO else item
        for item in script
    ]
    path = tmp_path / "moved.flv"
    path.write_bytes(flv_file([item.tag for item in moved]))

    offsets = avsync.offsets_ms(path)

    assert all(abs(offset - shift_ms) < 2 for offset in offsets)


def test_validate_when_a_clip_is_whole_then_every_judge_accepts_it():
    validate.accept_mp4(clips.TINY.path)
    validate.accept_mp4(clips.TINY_H265.path)


def test_validate_when_a_file_is_damaged_then_judges_refuse_it(tmp_path: Path):
    whole = bytearray(clips.TINY.path.read_bytes())
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(whole[: whole.index(b"mdat") - 40])
    with pytest.raises(validate.Rejected):
        validate.ffprobe(damaged)
    with pytest.raises(validate.Rejected):
        validate.shaka_packager(damaged)
    for at in range(30_000, 31_000):
        whole[at] ^= 77

    assert validate.decode_all(bytes(whole)).errors > 0


@pytest.mark.parametrize("player", ["dash", "shaka"])
def test_browser_when_it_plays_ffmpegs_dash_then_time_and_frames_go_by(tmp_path: Path, player: str):
    manifest = tmp_path / "manifest.mpd"
    with Publisher(
        clips.TINY, str(manifest), rounds=1, pace=0, base_us=0,
        options={"use_template": "1", "seg_duration": "1"},
    ) as publisher:  # fmt: skip
        publisher.wait()
    seen = play(manifest, "dash" if player == "dash" else "shaka", seconds=2)

    assert not seen.errors
    assert seen.played_s >= 1.9
    assert seen.frames > 40


def test_browser_when_it_plays_ffmpegs_hls_then_time_and_frames_go_by(tmp_path: Path):
    playlist, picture = tmp_path / "index.m3u8", tmp_path / "end.png"
    options = {"hls_segment_type": "fmp4", "hls_time": "1", "hls_list_size": "0",
               "hls_playlist_type": "vod"}  # fmt: skip
    with Publisher(
        clips.TINY, str(playlist), rounds=1, pace=0, base_us=0, options=options
    ) as publisher:
        publisher.wait()
    seen = play(playlist, "hls", seconds=10, screenshot=picture)

    assert not seen.errors
    assert seen.ended
    assert seen.width == clips.TINY.width
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("path", sorted(STREAMS.glob("*.json")), ids=lambda path: path.stem)
def test_capture_when_read_by_the_labs_own_readers_then_it_holds_the_listed_units(path: Path):
    data = path.with_suffix("").read_bytes()
    listed = from_json(path.read_text())
    if path.name.startswith("rtsp"):
        held = [unit for track in rtsp_units(data).values() for unit in track]
    elif path.name.startswith("rtmp"):
        held = demuxed(rtmp_to_flv(data), "flv")
    elif path.name.startswith("http"):
        held = demuxed(http_body(data), "flv")
    elif path.name.startswith("hls-nginx"):
        return  # FFmpeg's demuxer trips where fragments meet; listed fragment by fragment
    else:
        held = demuxed(data, "mp4" if data[4:8] == b"ftyp" else "mpegts")

    assert held == listed
