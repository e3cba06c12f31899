"""Holds init segments against each other and against the manifest."""

from collections.abc import Iterator, Mapping
from typing import Any

from everreel.errors import ObjectMissing
from everreel.media import names
from everreel.media.access_unit import Medium, TrackFormat
from everreel.sealing.verify_claims import Malformed
from everreel.sealing.verify_media import InitFound, describe, read_init_segment
from everreel.sealing.verify_report import Report, TrackFound, Trouble
from everreel.store.ports import ObjectStore


def check_inits(
    store: ObjectStore,
    folder: str,
    numbers: Mapping[int, dict[str, Any] | None],
    sizes: Mapping[str, int],
    report: Report,
) -> dict[int, InitFound]:
    """Read the init segments `numbers`; each with what the manifest says of it, if anything.

    The init segment of all tracks and those of single tracks repeat each other box by box: a
    change in one is found by the others.
    """
    found: dict[int, InitFound] = {}
    for number, claim in numbers.items():
        whole = _read(store, folder, names.init_name(number), report)
        if whole is None:
            continue
        found[number] = whole
        for medium in Medium:
            name = names.init_name(number, medium)
            declared = any(track.medium is medium for track in whole.formats)
            if declared and (claim is not None or name in sizes):
                single = _read(store, folder, name, report)
                if single is not None:
                    _compare(name, single, whole, medium, report)
            elif name in sizes:
                report.problem(Trouble.FOREIGN, name, "the recording has no such track")
        described = [describe(track) for track in whole.formats]
        report.tracks += [_track(number, track) for track in whole.formats]
        if claim is not None:
            _claimed(number, claim, described, report)
    return found


def note_formats(formats: tuple[TrackFormat, ...], report: Report) -> None:
    """Note the tracks of an MPEG-TS segment, which has no init segment."""
    for track in formats:
        fresh = _track(0, track)
        if not any(_same(fresh, known) for known in report.tracks):
            report.tracks.append(fresh)


def _same(one: TrackFound, other: TrackFound) -> bool:
    shape = (one.medium, one.codec, one.width, one.height, one.sample_rate, one.channels)
    return shape == (
        other.medium, other.codec, other.width, other.height, other.sample_rate, other.channels,
    )  # fmt: skip


def _track(number: int, track: TrackFormat) -> TrackFound:
    told = describe(track)
    return TrackFound(
        init=number,
        medium=track.medium.value,
        codec=str(told["codec"]),
        width=track.width,
        height=track.height,
        sample_rate=track.sample_rate,
        channels=track.channels,
    )


def _read(store: ObjectStore, folder: str, name: str, report: Report) -> InitFound | None:
    try:
        return read_init_segment(store.get(folder + name))
    except ObjectMissing:
        report.problem(Trouble.MISSING, name, "init segment: nothing that needs it can be played")
    except Malformed as error:
        report.problem(Trouble.UNREADABLE, name, str(error))
    return None


def _compare(
    name: str, single: InitFound, whole: InitFound, medium: Medium, report: Report
) -> None:
    if [track.medium for track in single.formats] != [medium]:
        report.problem(Trouble.TAMPERED, name, f"it does not hold the {medium.value} track alone")
        return
    for differing in _differing(single.boxes, whole.boxes):
        report.problem(
            Trouble.TAMPERED,
            name,
            f"its box {differing} is not that of the init segment of all tracks: one of the two "
            "was changed",
        )


def _differing(single: Mapping[str, bytes], whole: Mapping[str, bytes]) -> Iterator[str]:
    for kind, body in single.items():
        if whole.get(kind) != body:
            yield kind


def _claimed(
    number: int, claim: dict[str, Any], described: list[dict[str, object]], report: Report
) -> None:
    keys = {"all": names.init_name(number)}
    for track in described:
        medium = Medium(str(track["medium"]))
        keys[medium.value] = names.init_name(number, medium)
    if claim.get("keys") != keys:
        report.problem(
            Trouble.CONTRADICTION,
            "recording.json",
            f"init segment {number} has the objects {sorted(keys.values())}, not "
            f"{claim.get('keys')}",
        )
    if claim.get("tracks") != described:
        report.problem(
            Trouble.CONTRADICTION,
            "recording.json",
            f"init segment {number} describes {described}, the manifest says {claim.get('tracks')}",
        )
