import hashlib
import json

import pytest

from infra.local.demo_verify import Verification

SID = "0123456789abcdef" * 2


def build(folder):
    """Write a recording of three segments as a seal leaves it, without real media."""
    (folder / "segments").mkdir(parents=True)
    (folder / "init-1.mp4").write_bytes(b"init")
    link, segments = hashlib.sha256(SID.encode()).digest(), []
    for k in range(3):
        body = b"segment %d" % k
        digest = hashlib.sha256(body).digest()
        link = hashlib.sha256(link + digest).digest()
        key = f"segments/{k:08d}-1.m4s"
        (folder / key).write_bytes(body)
        segments.append(
            {
                "k": k, "key": key, "init": 1, "size": len(body), "sha256": digest.hex(),
                "chain": link.hex(), "startSeconds": k * 6.0, "durationSeconds": 6.0,
                "discontinuity": False, "units": {"video": 150, "audio": 281},
            }
        )  # fmt: skip
    document = {
        "sid": SID, "missing": [], "segments": segments, "chain": link.hex(), "gaps": [],
        "recordedSeconds": 18.0, "coverage": 1.0, "files": {"index": "index.m3u8"},
        "tracks": [{"init": 1, "keys": {"all": "init-1.mp4"}, "tracks": [{"medium": "audio"}]}],
    }  # fmt: skip
    (folder / "recording.json").write_text(json.dumps(document))
    lines = ["#EXTM3U", '#EXT-X-MAP:URI="init-1.mp4"']
    for segment in segments:
        lines += ["#EXTINF:6.000000,", str(segment["key"])]
    (folder / "index.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    return folder


def failed(folder):
    verification = Verification(folder, None)
    made = [verification.make(*each) for each in verification.checks()]
    return {check.name: check.text for check in made if not check.ok}


@pytest.fixture
def folder(tmp_path):
    return build(tmp_path / "out")


def test_whole_recording_then_only_the_missing_mp4_is_told(folder):
    assert failed(folder) == {"mp4": "there is no recording.mp4"}


def test_changed_segment_then_chain_names_it(folder):
    (folder / "segments/00000001-1.m4s").write_bytes(b"segment X")

    assert failed(folder)["chain"] == "segments/00000001-1.m4s has another SHA-256"


def test_segment_left_out_of_the_manifest_then_chain_breaks(folder):
    path = folder / "recording.json"
    document = json.loads(path.read_text())
    del document["segments"][1]
    path.write_text(json.dumps(document))

    assert "the chain breaks here" in failed(folder)["chain"]


def test_playlist_names_an_object_that_is_not_there_then_told(folder):
    (folder / "init-1.mp4").unlink()

    assert failed(folder)["playlists"] == "init-1.mp4 is named but does not exist"


def test_playlist_without_an_end_then_told(folder):
    path = folder / "index.m3u8"
    path.write_text(path.read_text().replace("#EXT-X-ENDLIST\n", ""))

    assert failed(folder)["playlists"] == "index.m3u8 has no end"


def test_playlist_shorter_than_the_manifest_then_told(folder):
    path = folder / "index.m3u8"
    path.write_text(path.read_text().replace("6.000000", "5.900000", 1))

    assert failed(folder)["durations"] == "index.m3u8 lasts 17.9 s"


def test_hole_without_a_discontinuity_then_told(folder):
    path = folder / "recording.json"
    document = json.loads(path.read_text())
    document["segments"][2]["startSeconds"] = 14.0
    path.write_text(json.dumps(document))

    assert failed(folder)["durations"].startswith("2.000 s are unaccounted for before")


def test_dash_range_beyond_its_object_then_told(folder):
    path = folder / "recording.json"
    document = json.loads(path.read_text())
    document["files"]["mpd"] = "manifest.mpd"
    path.write_text(json.dumps(document))
    (folder / "manifest.mpd").write_text(
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><SegmentList>'
        '<Initialization sourceURL="init-1.mp4"/>'
        '<SegmentURL media="segments/00000000-1.m4s" mediaRange="0-99"/></SegmentList></MPD>'
    )

    assert failed(folder)["playlists"].endswith("is shorter than manifest.mpd says")


def test_mp4_with_moov_behind_then_told(folder):
    path = folder / "recording.json"
    document = json.loads(path.read_text())
    document["files"]["mp4"] = "recording.mp4"
    path.write_text(json.dumps(document))
    (folder / "recording.mp4").write_bytes(
        b"".join((8).to_bytes(4, "big") + kind for kind in (b"ftyp", b"mdat", b"moov"))
    )

    assert failed(folder)["mp4"] == "recording.mp4: moov comes after mdat"


def test_no_manifest_then_each_check_says_so_and_none_raises(tmp_path):
    assert "chain" in failed(tmp_path)
