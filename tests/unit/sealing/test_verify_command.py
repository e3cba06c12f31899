"""`everreel verify` answers people, programs and shells."""

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from everreel.cli import main
from everreel.cli import verify as command
from everreel.codecs.rasterise import png
from everreel.events.memory import MemoryBus
from everreel.sealing.picture import timeline
from everreel.sealing.seal import seal
from everreel.sealing.verify_report import Change, Hole, Piece, Report, Trouble
from everreel.store.disk import DiskStore
from tests.lab.long_recording import DAY, SID, LongRecording
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


def long_report(segments: int, lap: int, holes: int = 0) -> Report:
    pieces = [
        Piece(k, k * 6_000_000, 6_000_000, "ab"[k // lap % 2], 1 + k // (2 * lap), k != 777)
        for k in range(segments)
    ]
    every = segments // holes if holes else 0
    return Report(
        segments=segments,
        span_us=pieces[-1].end_us,
        pieces=pieces,
        holes=[Hole(n * every * 6_000_000, 2_000_000, "loss", True) for n in range(holes)],
        changes=[Change(k, k * 6_000_000, "a1", "b1") for k in range(lap, segments, lap)],
    )


@pytest.mark.parametrize(
    ("lap", "holes"), [(136, 0), (136, 5), (1, 0), (7, 50_000), (100_800, 100_800)]
)
def test_picture_when_it_is_of_seven_days_then_it_is_no_larger_however_many_laps_and_gaps(
    lap: int, holes: int
) -> None:
    root, picture = drawn(long_report(100_800, lap, holes))
    assert len(picture) < 600_000
    assert ">something is wrong here" in picture
    texts = [each.text or "" for each in root.iter()]
    if holes == 5:
        assert texts.count("loss, 2.0 s") >= 5
    elif holes:
        assert any("gaps, together" in text for text in texts)
    if lap == 1:
        assert "lane a: 50400 laps, 50400 segments" in texts


def test_picture_when_it_is_made_a_png_then_marks_lie_where_the_svg_has_them() -> None:
    report = long_report(1000, 136, 2)
    report.channel, report.sid = "studio <1> & ü", "0" * 32
    report.problem(Trouble.TAMPERED, SEGMENT_1, "", 777)
    root, picture = drawn(report)
    image = Image.open(io.BytesIO(png(picture.encode())))
    assert image.format == "PNG"
    assert image.size == (int(root.get("width") or 0) * 2, int(root.get("height") or 0) * 2)
    space = "{http://www.w3.org/2000/svg}"
    solid = [
        bar
        for bar in root.iter(f"{space}rect")
        if float(bar.get("width") or 0) > 8
        and (bar.get("fill") or "").startswith("#")
        and bar.get("fill") != "#dfe8f2"  # lies below the segments of its lap
    ]
    assert len(solid) > 5
    for bar in solid:
        at = (
            round(2 * float(bar.get("x") or 0) + 6),
            round(2 * (float(bar.get("y") or 0) + float(bar.get("height") or 0) / 2)),
        )
        wanted = bar.get("fill") or ""
        colour = "#" + "".join(f"{part:02x}" for part in image.getpixel(at))
        assert colour == (wanted if len(wanted) == 7 else "#ffffff"), bar.attrib


def test_verify_when_a_png_is_asked_for_then_it_is_written(tmp_path, capsys) -> None:
    folder = stored(sealed(), tmp_path / "recording")
    file = tmp_path / "timeline.png"
    assert main(["verify", str(folder), "--png", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert main(["verify", str(folder), "--png", str(tmp_path / "no" / "folder.png")]) == 2
    assert "--png" in capsys.readouterr().err


# ------------------------------------------------------------------ long ones


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of 106 laps on two lanes, on the disk."""
    recording = LongRecording(mp4=False)
    recording.record(DAY)
    recording.end()
    seal(
        SID,
        recordings=recording.recordings,
        store=recording.store,
        bus=MemoryBus(),
        clock=recording.clock,
        poster=None,
    )
    folder = tmp_path_factory.mktemp("day")
    disk = DiskStore(folder)
    for info in recording.store.list(recording.folder.path):
        name = info.key.removeprefix(recording.folder.path)
        disk.put(name, recording.store.get(info.key), "")
    return folder


def test_verify_when_it_is_a_day_then_it_is_whole_and_the_report_is_a_page(
    day: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(day)]) == 0
    said = capsys.readouterr()
    for words in ("WHOLE", "14400 segments", "lane a", "lane b", "66 laps more", "none"):
        assert words in said.out, words
    assert len(said.out.splitlines()) < 120
    lines = said.err.splitlines()
    assert all(re.fullmatch(r"\d+ of 14400 segments read", line) for line in lines)


def test_verify_when_there_is_no_terminal_then_a_line_tells_of_progress_now_and_then(
    day: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LINE_S", 0.0)
    assert main(["verify", str(day)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 of 14400 segments read"
    assert lines[-1] == "14400 of 14400 segments read"


def test_verify_when_segments_of_a_day_are_changed_then_each_is_named(
    day: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((day / "segments").iterdir())
    kept = {number: files[number].read_bytes() for number in (0, 5000, 9000, 14_399)}
    files[0].write_bytes(kept[0][:-1])
    files[5000].write_bytes(b"x" * len(kept[5000]))
    files[9000].unlink()
    files[14_399].write_bytes(kept[9000])
    try:
        assert main(["verify", str(day)]) == 1
    finally:
        for number, body in kept.items():
            files[number].write_bytes(body)
    said = capsys.readouterr().out
    assert "NOT WHOLE: 4 problems" in said
    for number, trouble in ((0, "truncated"), (5000, "tampered"), (9000, "missing"),
                            (14_399, "tampered")):  # fmt: skip
        assert f"{files[number].name}: segment {number}: {trouble}" in said
