"""`everreel verify` answers people, programs and shells."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from everreel.cli import main
from everreel.sealing.picture import timeline
from everreel.sealing.verify_report import Change, Hole, Piece, Report, Trouble
from tests.unit.media.streams import later, stream
from tests.unit.sealing.test_verify import SEGMENT_1, Relay, judge, sealed, segments_of


def stored(house: Relay, folder: Path) -> Path:
    """Put a recording on the disk."""
    for name in house.objects():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(house.read(name))
    return folder


def test_verify_when_whole_then_status_is_0_and_the_report_says_so(tmp_path, capsys) -> None:
    house = sealed()
    assert main(["verify", str(stored(house, tmp_path)), "--deep"]) == 0
    said = capsys.readouterr().out
    for word in ("WHOLE", house.sid, "coverage 100.000 %", "lane a lap 1", "640×360", "none"):
        assert word in said
    assert "\x1b" not in said


def test_verify_when_a_segment_is_gone_then_status_is_1_and_one_line_names_it(
    tmp_path, capsys
) -> None:
    (stored(sealed(), tmp_path) / SEGMENT_1).unlink()
    assert main(["verify", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"{SEGMENT_1}: segment 1: missing: the store does not hold it" in said
    assert "NOT WHOLE: 1 problem\n" in said


@pytest.mark.parametrize("place", ["no/such/folder", "", "ftp://bucket/room", "s3://bucket"])
def test_verify_when_asked_wrongly_then_status_is_2(place: str, tmp_path, capsys) -> None:
    assert main(["verify", place or str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("everreel: ")


def test_verify_when_json_is_asked_for_then_it_prints_nothing_else(tmp_path, capsys) -> None:
    house = sealed(segments_of(stream(9), later(stream(9, start_ms=14_000), 14_000_000)))
    assert main(["verify", str(stored(house, tmp_path)), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["whole"]
    assert document["gaps"][0]["cause"] == "reconnect"
    assert document["laps"][0]["segments"] == document["segments"]


def test_verify_when_the_last_link_was_kept_then_a_rewritten_manifest_is_found(
    tmp_path, capsys
) -> None:
    house = sealed()
    kept = json.loads(house.read("recording.json"))["chain"]
    folder = str(stored(house, tmp_path))
    assert main(["verify", folder, "--chain", kept.upper()]) == 0
    assert main(["verify", folder, "--chain", "0" * 64]) == 1
    assert "chain broken: ends in" in capsys.readouterr().out


def test_verify_when_a_picture_is_asked_for_then_it_is_written(tmp_path, capsys) -> None:
    folder = stored(sealed(), tmp_path / "recording")
    file = tmp_path / "timeline.svg"
    assert main(["verify", str(folder), "--svg", str(file)]) == 0
    assert ElementTree.fromstring(file.read_text(encoding="utf-8")).tag.endswith("svg")
    assert main(["verify", str(folder), "--svg", str(tmp_path / "no" / "folder.svg")]) == 2


def test_verify_when_it_lies_in_s3_then_it_is_read_from_there(capsys, monkeypatch) -> None:
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    house = sealed()
    with moto.mock_aws():
        import boto3

        client = boto3.client("s3")
        client.create_bucket(Bucket="recordings")
        for name in house.objects():
            key = f"tv/room/{house.sid}/{name}"
            client.put_object(Bucket="recordings", Key=key, Body=house.read(name))
        assert main(["verify", f"s3://recordings/tv/room/{house.sid}/"]) == 0
        assert main(["verify", "s3://recordings/room/nothing/"]) == 2
    assert "WHOLE" in capsys.readouterr().out


# ------------------------------------------------------------------ the picture


def drawn(report: Report) -> tuple[ElementTree.Element, str]:
    picture = timeline(report)
    return ElementTree.fromstring(picture), picture


def test_picture_when_names_hold_markup_then_it_stays_text() -> None:
    report = judge(sealed())
    report.channel = '<script>&"'
    root, _ = drawn(report)
    assert '<script>&"' in [each.text for each in root.iter()]


def test_picture_when_there_are_lanes_gaps_and_damage_then_each_is_told() -> None:
    report = Report(
        sid="0" * 32,
        segments=3,
        span_us=20_000_000,
        origin_utc_us=1_767_225_600_000_000,
        pieces=[
            Piece(0, 0, 6_000_000, "a", 1, True),
            Piece(1, 6_000_000, 6_000_000, "b", 1, False),
            Piece(2, 14_000_000, 6_000_000, "a", 2, True),
        ],
        holes=[Hole(12_000_000, 2_000_000, "outage", declared=True)],
        changes=[Change(1, 6_000_000, "a1", "b1"), Change(2, 14_000_000, "b1", "a2")],
    )
    report.problem(Trouble.TAMPERED, SEGMENT_1, "", 1)
    _, picture = drawn(report)
    for words in ("lane a", "lane b", "lap 2", "outage, 2.0 s", "1 problem", "2026-01-01 UTC",
                  "segment 1: a1 hands over to b1", "something is wrong here"):  # fmt: skip
        assert f">{words}" in picture


def test_picture_when_the_recording_is_long_then_it_has_no_more_marks_than_pixels() -> None:
    pieces = [
        Piece(k, k * 6_000_000, 6_000_000, "ab"[k % 2], 1 + k // 140, True) for k in range(14_400)
    ]
    report = Report(segments=len(pieces), span_us=pieces[-1].end_us, pieces=pieces)
    assert len(timeline(report)) < 300_000
