"""AAC configurations and ADTS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceError, SourceMalformed, SourceUnsupported
from everreel.media.bitstream import aac

LC_48K_STEREO = bytes.fromhex("1190")


def config_of(*fields: tuple[int, int]) -> bytes:
    """Pack (value, bits) pairs."""
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def adts(payload: bytes, *, crc: bool = False, rate_index: int = 3, blocks: int = 0) -> bytes:
    size = len(payload) + (9 if crc else 7)
    fields = (
        (0xFFF, 12), (0, 3), (0 if crc else 1, 1), (1, 2), (rate_index, 4), (0, 1), (2, 3),
        (0, 4), (size, 13), (0x7FF, 11), (blocks, 2),
    )  # fmt: skip
    return config_of(*fields) + (b"\0\0" if crc else b"") + payload


def test_parse_config_when_it_is_plain_lc_then_gives_rate_and_channels():
    config = aac.parse_config(LC_48K_STEREO)
    assert (config.object_type, config.sample_rate, config.channels) == (2, 48000, 2)
    assert config.frame_samples == 1024
    assert not config.sbr


def test_parse_config_when_the_rate_is_escaped_then_reads_24_bits():
    config = aac.parse_config(config_of((2, 5), (15, 4), (37800, 24), (1, 4), (0, 3)))
    assert (config.sample_rate, config.channels) == (37800, 1)


def test_parse_config_when_frames_are_short_then_have_960_samples():
    config = aac.parse_config(config_of((2, 5), (3, 4), (2, 4), (1, 1), (0, 2)))
    assert config.frame_samples == 960


@pytest.mark.parametrize(("kind", "ps"), [(5, False), (29, True)])
def test_parse_config_when_sbr_is_explicit_then_gives_core_and_output_rate(kind, ps):
    config = aac.parse_config(config_of((kind, 5), (6, 4), (1, 4), (3, 4), (2, 5), (0, 3)))
    assert (config.sample_rate, config.output_rate) == (24000, 48000)
    assert (config.core_object_type, config.sbr, config.ps) == (2, True, ps)


def test_parse_config_when_sbr_is_signalled_at_the_end_then_finds_it():
    core = ((2, 5), (6, 4), (2, 4), (0, 3))
    extension = ((0x2B7, 11), (5, 5), (1, 1), (3, 4), (0x548, 11), (1, 1))
    config = aac.parse_config(config_of(*core, *extension))
    assert (config.object_type, config.output_rate, config.ps) == (2, 48000, True)


def test_parse_config_when_a_program_lists_the_channels_then_counts_them():
    head = ((2, 5), (3, 4), (0, 4), (0, 3))
    program = (
        (0, 4), (1, 2), (3, 4), (2, 4), (0, 4), (1, 4), (1, 2), (0, 3), (0, 4),
        (0, 1), (0, 1), (0, 1),
        (0, 1), (0, 4), (1, 1), (0, 4), (1, 1), (1, 4), (0, 4),
    )  # fmt: skip
    assert aac.parse_config(config_of(*head, *program)).channels == 6


@pytest.mark.parametrize("channels", [8, 13, 15])
def test_parse_config_when_the_channels_are_reserved_then_is_malformed(channels):
    with pytest.raises(SourceMalformed):
        aac.parse_config(config_of((2, 5), (3, 4), (channels, 4), (0, 3)))


@given(st.binary(max_size=40))
def test_parse_config_when_bytes_are_random_then_parses_or_is_malformed(data):
    try:
        config = aac.parse_config(data)
    except SourceMalformed:
        return
    assert config.channels > 0


@pytest.mark.parametrize(("config", "name"), [(LC_48K_STEREO, "mp4a.40.2")])
def test_codec_string_when_asked_then_names_the_object_type(config, name):
    assert aac.codec_string(config) == name


def test_split_adts_when_frames_are_whole_then_gives_them_with_their_config():
    data = adts(b"one") + adts(b"two", crc=True)
    frames, used = aac.split_adts(data)
    assert [frame.data for frame in frames] == [b"one", b"two"]
    assert {frame.config for frame in frames} == {LC_48K_STEREO}
    assert used == len(data)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8), st.data())
def test_split_adts_when_cut_anywhere_then_the_rest_completes_it(payloads, data):
    stream = b"".join(adts(payload) for payload in payloads)
    cut = data.draw(st.integers(0, len(stream)))
    first, used = aac.split_adts(stream[:cut])
    second, _ = aac.split_adts(stream[used:])
    assert [frame.data for frame in first + second] == payloads


def test_split_adts_when_junk_precedes_then_finds_the_first_frame():
    frames, _ = aac.split_adts(b"\xff\x00junk\xff" + adts(b"one") + adts(b"two"))
    assert [frame.data for frame in frames] == [b"one", b"two"]


def test_split_adts_when_a_frame_holds_several_then_is_unsupported():
    with pytest.raises(SourceUnsupported):
        aac.split_adts(adts(b"one", blocks=1))


def test_split_adts_when_the_rate_is_reserved_then_is_malformed():
    with pytest.raises(SourceMalformed):
        aac.split_adts(adts(b"one", rate_index=14))


@given(st.binary(max_size=200))
def test_split_adts_when_bytes_are_random_then_ends(data):
    try:
        _, used = aac.split_adts(data)
    except SourceError:
        return
    assert 0 <= used <= len(data)
