"""NAL unit framing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.media.bitstream.nal import (
    MAX_NALS,
    join_length_prefixed,
    split_annexb,
    split_length_prefixed,
)

# No start code inside and no zero at the end: what emulation prevention guarantees.
nal_units = st.lists(
    st.binary(min_size=1, max_size=40).filter(
        lambda nal: nal[-1] != 0 and b"\0\0\1" not in nal and not nal.startswith(b"\0")
    )
)


@given(nal_units, st.integers(0, 3), st.integers(0, 3))
def test_split_annexb_when_zeros_surround_units_then_gives_the_units(nals, before, after):
    stream = b"".join(b"\0" * before + b"\0\0\1" + nal + b"\0" * after for nal in nals)
    assert split_annexb(stream) == nals


def test_split_annexb_when_bytes_precede_the_first_start_code_then_drops_them():
    assert split_annexb(b"junk\0\0\0\1\x65abc") == [b"\x65abc"]


def test_split_annexb_when_there_is_no_start_code_then_gives_nothing():
    assert split_annexb(b"abc") == []


def test_split_annexb_when_units_are_too_many_then_is_malformed():
    with pytest.raises(SourceMalformed):
        split_annexb(b"\0\0\1\x41" * (MAX_NALS + 1))


@given(st.lists(st.binary(min_size=1, max_size=40)))
def test_join_when_split_again_then_gives_the_units(nals):
    assert split_length_prefixed(join_length_prefixed(nals)) == nals


@pytest.mark.parametrize("size", [1, 2, 4])
def test_split_length_prefixed_when_lengths_are_shorter_then_reads_them(size):
    data = b"".join(len(nal).to_bytes(size, "big") + nal for nal in (b"ab", b"", b"c"))
    assert split_length_prefixed(data, size) == [b"ab", b"c"]


@pytest.mark.parametrize("data", [b"\0\0\0\5abc", b"\0\0", b"\0\0\0\1a\0", b"\xff\xff\xff\xff"])
def test_split_length_prefixed_when_a_length_leads_out_then_is_malformed(data):
    with pytest.raises(SourceMalformed):
        split_length_prefixed(data)


def test_split_length_prefixed_when_units_are_too_many_then_is_malformed():
    with pytest.raises(SourceMalformed):
        split_length_prefixed(b"\1a" * (MAX_NALS + 1), 1)
