"""The short cut for pictures that need no cleaning."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.media.bitstream import h264, h265
from everreel.media.bitstream.coded_picture import as_it_stands
from everreel.media.bitstream.nal import join_length_prefixed, split_length_prefixed

NALS = st.lists(st.binary(max_size=6), max_size=6).map(join_length_prefixed)


@pytest.mark.parametrize("codec", [h264, h265])
@given(payload=NALS | st.binary(max_size=40), at=st.integers(0, 5))
@example(payload=bytes.fromhex("0000000106") + bytes.fromhex("00000002658f"), at=0)
def test_as_it_stands_when_it_answers_then_it_answers_what_cleaning_would(codec, payload, at):
    short = as_it_stands(payload, at, codec.KINDS)
    if short is None:
        return
    try:
        whole = codec.access_unit(split_length_prefixed(payload, 4, at))
    except SourceMalformed:
        pytest.fail("took an access unit whose framing is broken")
    assert short == whole


@pytest.mark.parametrize(
    ("codec", "nals", "keyframe"),
    [
        (h264, ["0605", "658f"], True),
        (h264, ["419a"], False),
        (h265, ["4e01", "2601"], True),
        (h265, ["0201"], False),
    ],
)
def test_as_it_stands_when_there_are_only_slices_and_sei_then_keeps_them(codec, nals, keyframe):
    payload = b"head" + join_length_prefixed(bytes.fromhex(nal) for nal in nals)
    picture = as_it_stands(payload, 4, codec.KINDS)
    assert picture is not None
    assert (picture.data, picture.keyframe, picture.parameter_sets) == (payload[4:], keyframe, [])


@pytest.mark.parametrize(("codec", "first"), [(h264, "0910"), (h264, "6764"), (h265, "4601")])
def test_as_it_stands_when_something_must_go_then_leaves_it_to_the_cleaning(codec, first):
    payload = join_length_prefixed([bytes.fromhex(first), b"\x65\x8f"])
    assert as_it_stands(payload, 0, codec.KINDS) is None
