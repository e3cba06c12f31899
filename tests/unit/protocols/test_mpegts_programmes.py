"""MPEG-TS: which programme and which of its streams are recorded."""

import pytest

from everreel.errors import SourceUnsupported
from everreel.media import psi
from everreel.media.psi import PACKET, ElementaryStream
from everreel.protocols.mpegts import MpegTs
from tests.unit.protocols.ts_bytes import (
    AUD,
    AUDIO,
    AUDIO_PID,
    PMT_PID,
    SETS,
    VIDEO,
    VIDEO_PID,
    Mux,
    adts,
    pes,
    picture,
    prefixed,
    read,
    units,
)


@pytest.mark.parametrize(
    ("stream_type", "name"), [(0x03, "MP3"), (0x11, "LATM"), (0x02, "MPEG-2"), (0x81, "AC-3")]
)
def test_receive_when_only_another_codec_is_there_then_names_it(stream_type, name):
    with pytest.raises(SourceUnsupported, match=name):
        MpegTs().receive(Mux().tables(ElementaryStream(stream_type, 0x60)) * 5)


def test_receive_when_another_codec_is_beside_video_then_records_the_video_and_tells():
    mux = Mux()
    parser = MpegTs()
    parser.receive(mux.tables(ElementaryStream(0x03, 0x60), VIDEO))
    data = mux.packets(VIDEO_PID, pes(picture(b"a", True, SETS), 0))
    events = parser.receive(data) + parser.end_of_input()
    assert len(units(events)) == 1
    assert parser.ignored == (psi.NAMES[3],)


def test_receive_when_a_stream_appears_late_then_it_is_recorded_from_there():
    mux = Mux()
    data = mux.tables(VIDEO) + mux.packets(VIDEO_PID, pes(picture(b"a", True, SETS), 0))
    data += mux.pmt(VIDEO, AUDIO) + mux.packets(AUDIO_PID, pes(adts(b"s" * 9), 0, sized=True))
    data += mux.packets(VIDEO_PID, pes(picture(b"b"), 3600))
    events = read(data)
    assert [u.medium.value for u in units(events)] == ["audio", "video", "video"]


def test_receive_when_a_stream_moves_to_another_packet_id_then_it_is_followed():
    mux = Mux()
    moved = ElementaryStream(psi.H264, 0x77)
    data = mux.tables(VIDEO) + mux.packets(VIDEO_PID, pes(picture(b"a", True, SETS), 0))
    data += mux.pmt(moved) + mux.packets(0x77, pes(picture(b"b", True, SETS), 3600))
    assert [u.pts for u in units(read(data))] == [0, 3600]


def test_receive_when_there_are_several_programmes_then_takes_the_first_of_the_pat():
    mux = Mux()
    other = ElementaryStream(psi.H264, 0x77)
    data = mux.pat((5, 0x45), (1, PMT_PID), (2, 0x41))
    data += mux.pmt(other, number=2, pid=0x41) + mux.pmt(VIDEO)
    data += mux.pmt(ElementaryStream(0x03, 0x60), number=5, pid=0x45)
    for pid in (0x77, VIDEO_PID):
        data += mux.packets(pid, pes(picture(b"%d" % pid, True, SETS), 0))
    assert [u.data for u in units(read(data))] == [prefixed(b"%d" % VIDEO_PID, True)]


def test_receive_when_an_earlier_programme_has_no_pmt_then_stops_waiting_for_it():
    mux = Mux()
    data = mux.pat((1, 0x41), (2, PMT_PID)) + mux.pmt(VIDEO, number=2) + mux.pmt(VIDEO, number=2)
    data += mux.packets(VIDEO_PID, pes(picture(b"a", True, SETS), 0))
    assert len(units(read(data))) == 1


def test_receive_when_the_stream_is_scrambled_then_says_so():
    mux = Mux()
    data = bytearray(mux.packets(VIDEO_PID, pes(AUD * 40_000, 0)))
    data[3::PACKET] = bytes(octet | 0x80 for octet in data[3::PACKET])
    with pytest.raises(SourceUnsupported, match="scrambled"):
        MpegTs().receive(mux.tables(VIDEO) + bytes(data))
