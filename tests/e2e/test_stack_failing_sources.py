"""Sources that cannot be recorded: the recording says what, whose fault and which field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployment import ABNORMAL, EXITED, Deployment, Json, Wish
from tests.e2e.web_server import Page, encoded, web_server
from tests.lab.process import free_port
from tests.lab.servers import GstRtsp, NginxRtmp

IDLE_S = 5

# Case -> code of the error, words of its message.
FAILING = {
    "unreachable-rtmp": ("source_unreachable", "refused"),
    "unreachable-rtsp": ("source_unreachable", "refused"),
    "unreachable-http": ("source_unreachable", "refused"),
    "name-that-does-not-resolve": ("source_unreachable", "does not resolve"),
    "rtsp-404": ("source_not_found", "404"),
    "http-404": ("source_not_found", "404"),
    "http-401": ("source_denied", "401"),
    "http-500": ("source_unreachable", "500"),
    "mp3-file": ("source_unsupported", "audio"),
    "web-page": ("source_unsupported", "web page"),
    "mpeg-2-video": ("source_unsupported", "MPEG-2"),
    "rtmp-to-a-web-server": ("source_malformed", "RTMP"),
}


def _pages(folder: Any) -> dict[str, Page]:
    sound = ["-f", "lavfi", "-i", "sine=d=2"]
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x90:d=2"]
    return {
        "/denied": Page(status=401, headers={"WWW-Authenticate": 'Basic realm="lab"'}),
        "/broken": Page(status=500),
        "/song.mp3": Page(encoded(folder / "song.mp3", *sound), kind="audio/mpeg"),
        "/page.html": Page(b"<!doctype html><title>live</title>" * 50, kind="text/html"),
        "/old.ts": Page(
            encoded(folder / "old.ts", *picture, "-c:v", "mpeg2video"), kind="video/mp2t"
        ),
    }


@pytest.fixture(scope="module")
def ended(
    deployed: Deployment, nginx: NginxRtmp, tmp_path_factory: Any
) -> Iterator[dict[str, Json]]:
    """Every case recorded at once, and waited for."""
    pages = _pages(tmp_path_factory.mktemp("pages"))
    with web_server(pages) as server, GstRtsp() as rtsp:
        web = server.url
        closed = f"127.0.0.1:{free_port()}"
        sources = {
            "unreachable-rtmp": f"rtmp://{closed}/live/x",
            "unreachable-rtsp": f"rtsp://{closed}/x",
            "unreachable-http": f"http://{closed}/x.flv",
            "name-that-does-not-resolve": "rtmp://nobody.invalid/live/x",
            "rtsp-404": rtsp.rtsp_url("nothing-here"),
            "http-404": f"{web}/nothing",
            "http-401": f"{web}/denied",
            "http-500": f"{web}/broken",
            "mp3-file": f"{web}/song.mp3",
            "web-page": f"{web}/page.html",
            "mpeg-2-video": f"{web}/old.ts",
            "rtmp-to-a-web-server": f"rtmp{web.removeprefix('http')}/live/x",
            "silent": nginx.rtmp_url("nobody-publishes-this"),
        }
        sids = {
            case: deployed.start(Wish(source, case, idle_s=IDLE_S))["sid"]
            for case, source in sources.items()
        }
        yield {case: deployed.sealed(sid, 60) for case, sid in sids.items()}


@pytest.mark.parametrize("case", FAILING)
def test_source_when_it_cannot_be_recorded_then_status_20_says_what_whose_fault_and_where(
    ended: dict[str, Json], case: str
) -> None:
    code, words = FAILING[case]
    found = ended[case]

    assert (found["status"], found["reason"]) == (ABNORMAL, "source_failed")
    error = found["error"]
    assert (error["code"], error["blame"], error["field"]) == (code, "source", "source"), error
    assert words.lower() in error["message"].lower()
    assert found["laps"][0]["error"] == error


@pytest.mark.parametrize("case", [*FAILING, "silent"])
def test_source_when_nothing_came_from_it_then_the_bucket_holds_nothing(
    deployed: Deployment, ended: dict[str, Json], case: str
) -> None:
    assert deployed.keys(f"/{ended[case]['sid']}/") == []
    assert (ended[case]["segments"], ended[case]["files"]) == (0, [])


def test_source_when_the_stream_name_is_silent_then_the_recording_exits_idle(
    ended: dict[str, Json],
) -> None:
    found = ended["silent"]

    assert (found["status"], found["reason"], found["error"]) == (EXITED, "idle", None)
    assert found["originAt"] is None


@pytest.mark.parametrize("case", [*FAILING, "silent"])
def test_source_when_the_recording_failed_then_the_bus_tells_its_end(
    deployed: Deployment, ended: dict[str, Json], case: str
) -> None:
    sid = ended[case]["sid"]
    told = deployed.event_of(sid, "RecordingSealed")

    assert told["detail"]["status"] == ended[case]["status"]
    assert told["detail"]["manifest"] is None
