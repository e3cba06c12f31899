"""Boxes: what is built can be walked, and hostile bytes end in SourceMalformed alone."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.media.isobmff.boxes import box, child, full_box, require, version_and_flags, walk

kinds = st.binary(min_size=4, max_size=4)


@given(st.lists(st.tuples(kinds, st.binary(max_size=40)), max_size=20))
def test_walk_over_built_boxes_then_finds_each_where_it_lies(contents):
    data = b"".join(box(kind, body) for kind, body in contents)
    assert [(b.kind, data[b.body : b.end]) for b in walk(data)] == contents


@given(st.binary(max_size=200))
def test_walk_over_any_bytes_then_stays_inside_or_says_malformed(data):
    try:
        found = list(walk(data))
    except SourceMalformed:
        return
    assert all(a.end == b.start for a, b in pairwise(found))
    assert not found or (found[0].start == 0 and found[-1].end == len(data))


def test_walk_with_long_size_then_reads_64_bits():
    data = struct.pack(">I4sQ", 1, b"mdat", 20) + b"abcd"
    (found,) = walk(data)
    assert data[found.body : found.end] == b"abcd"


def test_walk_with_size_zero_then_box_reaches_to_the_end():
    (found,) = walk(struct.pack(">I4s", 0, b"mdat") + b"abcd")
    assert found.end == 12


def test_walk_over_too_many_boxes_then_malformed():
    with pytest.raises(SourceMalformed, match="4096"):
        list(walk(box(b"free") * 5000))


def test_require_when_absent_then_malformed_names_both():
    data = box(b"moov", box(b"free"))
    (moov,) = walk(data)
    assert child(data, moov, b"trak") is None
    with pytest.raises(SourceMalformed, match="moov holds no trak"):
        require(data, moov, b"trak")


def test_version_and_flags_when_cut_off_then_malformed():
    data = full_box(b"tfdt", 1, 0x020304) + box(b"tfdt", b"ab")
    whole, short = walk(data)
    assert version_and_flags(data, whole) == (1, 0x020304)
    with pytest.raises(SourceMalformed):
        version_and_flags(data, short)
