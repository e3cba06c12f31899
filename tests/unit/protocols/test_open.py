"""Choosing a source by URL, before anything is connected."""

import subprocess
import sys

import pytest

from everreel.errors import SourceRefused
from everreel.protocols.dial import DialledSource
from everreel.protocols.guard import Guard
from everreel.protocols.open import open_source
from everreel.protocols.source import SniffedSource


def never(host: str, port: int) -> list[str]:
    raise OSError(f"{host} is not to be resolved here")


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("rtmp://a.example/app/stream", DialledSource),
        ("RTMPS://a.example/app/stream?token=x", DialledSource),
        ("rtsp://user:pass@a.example/x", DialledSource),
        ("rtsps://a.example/x", DialledSource),
        ("http://a.example/live.flv", SniffedSource),
        ("https://a.example/live.m3u8", SniffedSource),
    ],
)
def test_open_source_when_the_scheme_is_known_then_its_source_is_made(url, kind):
    source = open_source(url, Guard(resolve=never))
    assert isinstance(source, kind)
    source.close()


@pytest.mark.parametrize("url", ["srt://a.example:1", "webrtc://a.example/x", "file:///x", "x", ""])
def test_open_source_when_the_scheme_is_unknown_then_the_refusal_lists_the_known_ones(url):
    with pytest.raises(SourceRefused, match="http, https, rtmp, rtmps, rtsp, rtsps"):
        open_source(url, Guard(resolve=never))


def test_open_source_when_an_rtmp_url_names_no_stream_then_it_is_refused():
    with pytest.raises(SourceRefused):
        open_source("rtmp://a.example/app", Guard(resolve=never))


def test_import_when_the_source_is_rtmp_then_neither_http_nor_tls_nor_av_is_loaded():
    code = (
        "import sys; from everreel.protocols.open import open_source;"
        "from everreel.protocols.guard import Guard;"
        "open_source('rtmp://93.184.216.34:1/a/b', Guard()).close();"
        "print(sorted({'h11','ssl','asyncio','av','boto3','pydantic','http.client'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
