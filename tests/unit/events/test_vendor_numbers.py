"""Every event that a vendor documents, with the details it documents: read, kept, understood."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.events.facts import Facts, fact_of
from everreel.events.fan_in import event_of, notice_of
from everreel.state.notices import Notice
from tests.unit.events.lives import RECORDING, TRANSCODER, agora, hls, tencent
from tests.unit.events.test_notices import read

NOTHING = Facts()
RUNS, ENDS, FAILS = Facts(started=True), Facts(exited=True), Facts(exited=True, abnormal=True)
NAMES = [{"fileName": "a.m3u8"}, {"fileName": "b.m3u8"}]
BOTH = frozenset({"a.m3u8", "b.m3u8"})

RECORDER: list[tuple[int, dict[str, Any], Facts]] = [
    (
        1,
        {"module": 1, "errorLevel": 5, "errorCode": 32, "stat": 1},
        Facts(errors=frozenset({"32"})),
    ),
    (2, {"module": 1, "warnCode": 31}, NOTHING),
    (3, {"status": 0, "recordingMode": 1, "fileList": ""}, NOTHING),
    (3, {"status": 3}, NOTHING),
    (3, {"status": 4}, RUNS),
    (3, {"status": 5}, RUNS),
    (3, {"status": 6}, RUNS),
    (3, {"status": 7}, RUNS),
    (3, {"status": 8}, Facts(started=True, exited=True)),
    (3, {"status": 20}, FAILS),
    (4, {"fileList": "a.m3u8"}, Facts(files=frozenset({"a.m3u8"}))),
    (11, {"exitStatus": 0}, ENDS),
    (11, {"exitStatus": 1}, FAILS),
    (12, {"newUid": 4294967295}, Facts(uids=frozenset({"4294967295"}))),
    (13, {}, NOTHING),
    (30, {"status": 0}, NOTHING),
    (31, {"status": 0, "fileList": NAMES}, Facts(exited=True, stored=True, files=BOTH)),
    (31, {"status": 0}, Facts(exited=True, stored=True)),
    (32, {"status": 0, "fileList": NAMES}, Facts(exited=True, backed_up=True, files=BOTH)),
    (33, {"progress": 10_000}, Facts(progress=10_000)),
    (40, {"status": 0}, RUNS),
    (41, {"leaveCode": 20}, NOTHING),
    (42, {"startUtcMs": 1, "discontinueUtcMs": 1, "mixedAllUser": True, "streamUid": "0"}, RUNS),
    (43, {"streamUid": "7", "state": 1, "UtcMs": 1}, NOTHING),
    (44, {"streamUid": "7", "state": 0, "UtcMs": 1}, NOTHING),
    (45, {"fileName": "prefix/1.jpg"}, NOTHING),
    (60, {"aliVodInfo": {"videoId": "v"}}, NOTHING),
    (61, {}, NOTHING),
    (70, {"recorderStartTime": 1}, RUNS),
    *((71, {"code": code, "message": "m", "details": ""}, ENDS) for code in (0, 1)),
    *((71, {"code": code, "message": "m", "details": ""}, FAILS) for code in (2, 3, 4, 5, 6)),
    (72, {"limitType": "bandwidth"}, NOTHING),
    (73, {"reason": "page_load_timeout"}, NOTHING),
    (80, {}, NOTHING),
    (81, {"result": "partial_success", "uids": [{"uid": "1", "fileList": NAMES}]}, NOTHING),
    (90, {"vendor": 1, "region": 0, "bucket": "b", "fileName": "a.m3u8;b.m3u8"}, NOTHING),
    (100, {"rtmpUrl": "rtmp://live.example/app/key", "status": "disconnected"}, NOTHING),
    (1001, {"result": "total_success", "fileList": NAMES}, Facts(files=BOTH)),
]
CLOUD_TRANSCODER: list[tuple[int, dict[str, Any], Facts]] = [
    (110, {"state": "Transcoder success", "transcoder": {"inputs": [], "outputs": []}}, RUNS),
    (111, {"stopReason": "Stop request"}, ENDS),
    (112, {"state": "connecting"}, NOTHING),
    (112, {"state": "running"}, RUNS),
    (112, {"state": "failed"}, Facts(abnormal=True)),
    (113, {"state": "running", "transcoder": {}}, NOTHING),
]
TENCENT: list[tuple[int, dict[str, Any], Facts]] = [
    (301, {"Status": 0}, RUNS),
    (301, {"Status": 1}, NOTHING),
    *((302, {"LeaveCode": code}, ENDS) for code in (0, 1, 2, 99)),
    *((302, {"LeaveCode": code}, FAILS) for code in (3, 4, 100, 101)),
    (303, {"Status": 0}, NOTHING),
    (304, {"FileList": "a.m3u8"}, Facts(files=frozenset({"a.m3u8"}))),
    (305, {"LeaveCode": 0}, Facts(stored=True)),
    (305, {"Status": 1}, Facts(backed_up=True)),
    (305, {"LeaveCode": 2}, Facts(stored=True)),
    (306, {"Status": 0}, NOTHING),
    (307, {"FileName": "1.ts", "UserId": "7", "TrackType": "audio", "BeginTimeStamp": "1"}, RUNS),
    (308, {"Code": 3, "Message": "denied"}, Facts(errors=frozenset({"3"}))),
    (309, {"Url": "https://pictures.example/a.png"}, NOTHING),
    (310, {"Status": 0, "FileList": ["a.m3u8", "b.m3u8"]}, Facts(stored=True, files=BOTH)),
    (310, {"Status": 2}, NOTHING),
    (311, {"Status": 0, "TencentVod": {"FileId": "1"}, "Errmsg": ""}, NOTHING),
    (312, {"Status": 0}, Facts(stored=True)),
    (312, {"Status": 1}, NOTHING),
]


def understood(notice: Notice) -> Facts:
    """Take a notice over the bus and read it."""
    assert notice_of(event_of(notice).detail) == notice
    return fact_of(notice)


def heard(notice: Notice, facts: Facts) -> Facts:
    """Add what every notice tells: who spoke, and when."""
    return facts | Facts(uids=frozenset({notice.uid} - {""}), newest_utc_us=notice.utc_us)


@pytest.mark.parametrize(("event", "details", "facts"), RECORDER)
def test_recording_when_agora_tells_it_then_is_understood(
    event: int, details: dict[str, Any], facts: Facts
) -> None:
    if event == 90:
        # The names of what failed to be fetched, in one text.
        facts = Facts(files=frozenset({"a.m3u8;b.m3u8"}))
    notice = read(agora(RECORDING, event, 1, details))
    assert understood(notice) == heard(notice, facts)


@pytest.mark.parametrize(("event", "details", "facts"), CLOUD_TRANSCODER)
def test_transcoder_when_agora_tells_it_then_is_understood(
    event: int, details: dict[str, Any], facts: Facts
) -> None:
    notice = read(agora(TRANSCODER, event, 1, details))
    assert (notice.task, notice.uid) == (TRANSCODER, "")
    assert understood(notice) == heard(notice, facts)


@pytest.mark.parametrize(("event", "payload", "facts"), TENCENT)
def test_recording_when_tencent_tells_it_then_is_understood(
    event: int, payload: dict[str, Any], facts: Facts
) -> None:
    notice = read(tencent(event, 1, payload))
    assert understood(notice) == heard(notice, facts)


def test_numbers_when_documented_then_none_is_missing_here() -> None:
    """The list of the vendors' pages, by number."""
    recorder = {1, 2, 3, 4, 11, 12, 13, *range(30, 34), *range(40, 46), 60, 61, *range(70, 74)}
    assert {event for event, *_ in RECORDER} == recorder | {80, 81, 90, 100, 1001}
    assert {event for event, *_ in CLOUD_TRANSCODER} == {110, 111, 112, 113}
    assert {event for event, *_ in TENCENT} == {*range(301, 313)}


KNOWN = {event for event, *_ in RECORDER} | {event for event, *_ in CLOUD_TRANSCODER}


@pytest.mark.parametrize("event", sorted({*range(121)} - KNOWN))
def test_number_when_nobody_knows_it_then_is_kept_and_says_nothing(event: int) -> None:
    notice = read(agora(RECORDING, event, 1, {"from": "the future", "fileList": hls("x.m3u8")}))
    assert understood(notice) == heard(notice, Facts(files=frozenset({"x.m3u8"})))


DETAILS = st.dictionaries(
    st.sampled_from(
        "status Status exitStatus newUid progress code errorCode Code state LeaveCode fileList "
        "FileList fileName FileName error filename".split()
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["fileName", "filename", "code"]), inner)
        ),
        max_leaves=6,
    ),
)


@given(st.integers(0, 10**9), DETAILS | st.text() | st.lists(st.integers()))
def test_details_when_they_are_anything_then_are_read_without_a_fault(
    event: int, details: Any
) -> None:
    for notice in (
        read(agora(RECORDING, event, 1, details)),
        read(tencent(event, 1, details)),
        read(agora(RECORDING, event % 121, 1, details)),
        read(tencent(300 + event % 15, 1, details)),
    ):
        assert understood(notice).newest_utc_us == notice.utc_us
