"""MPEG-TS segments as FFmpeg sees them: alone, one after the other, and behind an HLS playlist."""

import json
import subprocess

import pytest

from everreel.media.ts_writer import write_segment
from tests.lab import clips
from tests.media.packaged import cut, demux

CLIPS = [clips.TINY, clips.TINY_H265, clips.TINY_OPUS, clips.TINY_AUDIO]


def run(require_tool, name, *arguments):
    done = subprocess.run(
        [require_tool(name), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    return done.stdout, done.stderr


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_write_segment_when_ffmpeg_decodes_segments_then_it_finds_no_error(
    clip, tmp_path, require_tool
):
    source = demux(clip.path)
    bodies = [write_segment(segment) for segment in cut(source, 1_000_000)]
    assert len(bodies) == 3
    for index, body in enumerate(bodies):
        (tmp_path / f"{index}.ts").write_bytes(body)
        _, errors = run(
            require_tool,
            "ffmpeg",
            "-v",
            "warning",
            "-i",
            tmp_path / f"{index}.ts",
            "-f",
            "null",
            "-",
        )
        assert errors == ""
    playlist = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n" + "".join(
        f"#EXTINF:1.0,\n{index}.ts\n" for index in range(len(bodies))
    )
    (tmp_path / "all.m3u8").write_text(playlist + "#EXT-X-ENDLIST\n")
    (tmp_path / "all.ts").write_bytes(b"".join(bodies))
    for name in ("all.m3u8", "all.ts"):
        out, errors = run(
            require_tool, "ffprobe", "-v", "warning", "-show_entries",
            "packet=codec_type,pts,flags", "-of", "json", tmp_path / name,
        )  # fmt: skip
        assert errors == ""
        rows = json.loads(out)["packets"]
        for medium, samples in source.samples.items():
            got = [row for row in rows if row["codec_type"] == medium.value]
            assert len(got) == len(samples)
            assert not any("C" in row["flags"] for row in got)  # corrupt: a counter that jumped
            if name == "all.m3u8" and len(source.samples) == 1:
                continue  # FFmpeg 5.1 shifts the second frame, also of its own audio-only HLS
            first = int(got[0]["pts"])
            for row, sample in zip(got, samples, strict=True):
                expected = (sample.pts_us - samples[0].pts_us) * 9 / 100
                assert abs(int(row["pts"]) - first - expected) <= 2


def test_write_segment_when_ffmpeg_decodes_pictures_then_they_are_those_of_the_clip(
    tmp_path, require_tool
):
    bodies = [write_segment(segment) for segment in cut(demux(clips.TINY.path), 1_000_000)]
    (tmp_path / "all.ts").write_bytes(b"".join(bodies))
    hashes = []
    for path in (clips.TINY.path, tmp_path / "all.ts"):
        out, _ = run(require_tool, "ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-f",
                     "framemd5", "-")  # fmt: skip
        rows = [line for line in out.splitlines() if not line.startswith("#")]
        hashes.append([row.split(",")[-1] for row in rows])
    assert len(hashes[0]) == 75
    assert hashes[0] == hashes[1]
