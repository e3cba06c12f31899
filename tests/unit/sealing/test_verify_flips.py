"""Any single changed byte of a recording is found, or lies where docs/verify.md says it may."""

import json
import re
from collections.abc import Iterator
from functools import cache
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.clock import parse_iso
from everreel.media.index import Container
from everreel.sealing.verify import verify
from everreel.store.memory import MemoryStore
from tests.unit.media.streams import stream
from tests.unit.sealing.test_verify import Relay, sealed, segments_of

DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

NOTHING_TO_HOLD_AGAINST = {
    "app", "channel", "uid", "mode", "segmentSeconds", "source", "reason", "laps.reconnects",
    "laps.requestId", "laps.startTime", "laps.why", "laps.reason", "laps.state",
}  # fmt: skip
"""Words of recording.json that no other object repeats."""

HINTS_OF_THE_MPD = {
    "profiles", "minBufferTime", "maxSegmentDuration", "bandwidth", "id", "segmentAlignment",
    "schemeIdUri", "value",
}  # fmt: skip


@cache
def small(container: Container) -> Relay:
    return sealed(segments_of(stream(8, fps=5, gop=10, reorder=1)), container)


def names(house: Relay) -> list[str]:
    return sorted(house.objects() - {"poster.jpg"})


def words(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Give the leaves of a JSON document with the names that lead to them."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from words(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for each in value:
            yield from words(each, path)
    else:
        yield path, value


def harmless(name: str, before: bytes, after: bytes) -> bool:
    """Tell whether a change is of the kinds that docs/verify.md leaves out."""
    if name == "recording.json":
        one, two = list(words(json.loads(before))), list(words(json.loads(after)))
        differing = {path for path, _ in set(one) ^ set(two)}
        return differing <= NOTHING_TO_HOLD_AGAINST or dates_within_rounding(before, after)
    if name == "manifest.mpd":
        one = [(each.tag, attributes(each)) for each in ElementTree.fromstring(before).iter()]
        two = [(each.tag, attributes(each)) for each in ElementTree.fromstring(after).iter()]
        return one == two
    if name.startswith("init-"):
        return next_track_id(before) != next_track_id(after)
    if name == "recording.mp4":
        return before.index(b"mdat") > first_difference(before, after)
    return name.endswith(".m3u8") and dates_within_rounding(before, after)


def dates_within_rounding(before: bytes, after: bytes) -> bool:
    """Tell whether dates alone differ, by the millisecond to which they are rounded."""
    one, two = DATE.findall(before), DATE.findall(after)
    if DATE.sub(b"", before) != DATE.sub(b"", after) or len(one) != len(two):
        return False
    steps = [
        abs(parse_iso(a.decode()) - parse_iso(b.decode())) for a, b in zip(one, two, strict=True)
    ]
    return max(steps, default=0) <= 1000


def attributes(element: ElementTree.Element) -> dict[str, str]:
    return {key: value for key, value in element.items() if key not in HINTS_OF_THE_MPD}


def next_track_id(init: bytes) -> bytes:
    at = init.index(b"mvhd")
    size = int.from_bytes(init[at - 4 : at], "big")
    return init[at + size - 8 : at + size - 4]


def first_difference(before: bytes, after: bytes) -> int:
    return next(at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)


@pytest.mark.parametrize("container", list(Container))
@given(data=st.data())
def test_verify_when_any_byte_changes_then_it_is_found_or_known_to_be_harmless(
    container: Container, data: st.DataObject
) -> None:
    house = small(container)
    name = data.draw(st.sampled_from(names(house)))
    before = house.read(name)
    at = data.draw(st.integers(0, len(before) - 1))
    after = before[:at] + bytes([before[at] ^ data.draw(st.integers(1, 255))]) + before[at + 1 :]
    store = MemoryStore()
    for each in house.objects():
        store.put(each, after if each == name else house.read(each), "")

    report = verify(store, "", deep=True)

    assert not report.whole or harmless(name, before, after), f"{name} at {at}: {after[at]:#x}"


@pytest.mark.parametrize("container", list(Container))
def test_verify_when_any_byte_of_a_list_changes_then_it_never_fails(container: Container) -> None:
    """Every byte of the text objects, one after another: found or harmless, and no crash."""
    house = small(container)
    store = MemoryStore()
    for each in house.objects():
        store.put(each, house.read(each), "")
    for name in sorted({"index.m3u8", "live.m3u8"} & house.objects()):
        before = house.read(name)
        for at in range(len(before)):
            after = before[:at] + bytes([before[at] ^ 4]) + before[at + 1 :]
            store.put(name, after, "")
            found = not verify(store, "").whole
            assert found or harmless(name, before, after), f"{name} at {at}"
        store.put(name, before, "")
