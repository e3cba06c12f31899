"""AMF0."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceMalformed
from everreel.protocols import amf

scalars = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner)
    ),
    max_leaves=12,
)


@given(st.lists(values, max_size=5))
def test_decode_when_encoded_before_then_gives_the_values(given_values):
    assert amf.decode(amf.encode(*given_values)) == given_values


def test_encode_when_a_command_is_written_then_has_the_bytes_of_the_standard():
    assert amf.encode("a", 1, {"k": True}, None) == (
        b"\x02\x00\x01a" + b"\x00" + struct.pack(">d", 1) + b"\x03\x00\x01k\x01\x01\x00\x00\x09\x05"
    )


def test_encode_when_a_string_is_long_then_uses_the_long_form():
    assert amf.encode("x" * 70000)[:5] == b"\x0c" + (70000).to_bytes(4, "big")


def test_decode_when_types_are_rare_then_reads_them():
    data = (
        b"\x06"  # undefined
         b"\x07\x00\x01"  # reference
         b"\x0b" + struct.pack(">d", 5) + b"\x00\x00"  # date
        + b"\x0c\x00\x00\x00\x01z"  # long string
        + b"\x08\x00\x00\x00\x63\x00\x01k\x05\x00\x00\x09"  # array with a wrong count
        + b"\x10\x00\x01T\x00\x01k\x05\x00\x00\x09"  # typed object
        + b"\x0d"  # unsupported
    )  # fmt: skip
    assert amf.decode(data) == [None, None, 5.0, "z", {"k": None}, {"k": None}, None]


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\x00\x05ab",
        b"\x00\x00",
        b"\x03\x00\x01k",
        b"\x03\x00\x01k\x05",
        b"\x0a\xff\xff\xff\xff",
        b"\x0a\x00\x00\xff\xff\x05",
        b"\x11",
        b"\x09",
        b"\x03\x00\x01k" * 17 + b"\x05",
        b"\x0a\x00\x00\x00\x01" * 1000,
        b"\x05" * (amf.MAX_BYTES + 1),
    ],
)
def test_decode_when_a_command_lies_then_is_malformed(data):
    with pytest.raises(SourceMalformed):
        amf.decode(data)


@given(st.binary(max_size=300))
def test_decode_when_bytes_are_random_then_decodes_or_is_malformed(data):
    try:
        assert len(amf.decode(data)) <= len(data)
    except SourceMalformed:
        return
