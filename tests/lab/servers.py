"""Real media servers on free ports of 127.0.0.1, each with a directory and a log of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.lab.process import (
    Child,
    LabError,
    free_port,
    http_get,
    program,
    tcp_accepts,
    wait_until,
)

WEB = Path(__file__).resolve().parents[1] / "web"
_RTSP_SCRIPT = Path(__file__).with_name("rtsp_server.py")


class Server:
    """What all servers share: a temporary directory, a child process, start and stop."""

    name = "server"

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix=f"lab-{self.name}-"))
        self._child: Child | None = None

    def _argv(self) -> list[str]:
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError

    def _env(self) -> Mapping[str, str]:
        return {}

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            LabError: it was not started.
        """
        if self._child is None:
            raise LabError(f"{self.name} was not started")
        return self._child.pid

    @property
    def log_tail(self) -> str:
        """The last lines of its log."""
        return self._child.tail() if self._child else ""

    def start(self) -> Self:
        """Start it and wait until it serves.

        Raises:
            LabError: it did not come up; the message ends with its log.
        """
        self._child = Child(self._argv(), self.dir / "server.log", cwd=self.dir, env=self._env())
        self._child.wait_ready(self.name, self._ready)
        return self

    def stop(self) -> None:
        """End it by its process id; its connections break."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except LabError:
            shutil.rmtree(self.dir, ignore_errors=True)
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


_NGINX = """
{user}worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log stderr notice;
{modules}
events {{ worker_connections 256; }}
{rtmp}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  types {{
    text/html html; text/javascript js mjs; text/css css; application/json json map;
    application/vnd.apple.mpegurl m3u8; application/dash+xml mpd; image/jpeg jpg;
    video/mp4 mp4 m4s; audio/mp4 m4a; video/mp2t ts; video/x-flv flv;
  }}
  server {{
    listen 127.0.0.1:{http};
    add_header Cache-Control no-cache always;
    add_header Access-Control-Allow-Origin * always;
    location = /ready {{ return 204; }}
{locations}
  }}
}}
"""

_RTMP = """
rtmp {{
  server {{
    listen 127.0.0.1:{port};
    chunk_size {chunk};
    application live {{
      live on;
      idle_streams {idle};
      wait_key off;
    }}
    application hls {{
      live on;
      hls on; hls_path {dir}/hls; hls_fragment 2s; hls_playlist_length 24s;
    }}
  }}
}}
"""


def _location(prefix: str, root: Path) -> str:
    return f"    location {prefix} {{ alias {root}/; }}\n"


class _Nginx(Server):
    """One nginx; what it serves is decided by the classes below."""

    def __init__(self) -> None:
        super().__init__()
        self.http_port = free_port()
        self.locations: dict[str, Path] = {}

    @property
    def url(self) -> str:
        """Base of everything it serves over HTTP."""
        return f"http://127.0.0.1:{self.http_port}"

    def _rtmp(self) -> str:
        return ""

    def _modules(self) -> str:
        return ""

    def _argv(self) -> list[str]:
        config = self.dir / "nginx.conf"
        config.write_text(
            _NGINX.format(
                # Workers must read the tests' private directories.
                user="user root;\n" if os.geteuid() == 0 else "",
                dir=self.dir,
                modules=self._modules(),
                rtmp=self._rtmp(),
                http=self.http_port,
                locations="".join(_location(p, r) for p, r in self.locations.items()),
            )
        )
        return [program("nginx"), "-p", str(self.dir), "-c", str(config), "-e", "stderr"]

    def _ready(self) -> bool:
        return http_get(f"{self.url}/ready", timeout_s=0.5) is not None


class NginxStatic(_Nginx):
    """Serves directories over HTTP with byte ranges: recordings, players, live playlists.

    Args:
        locations: directory by URL prefix; a prefix begins and ends with a slash.
    """

    name = "nginx-static"

    def __init__(self, locations: Mapping[str, Path]) -> None:
        super().__init__()
        self.locations = dict(locations)


class NginxRtmp(_Nginx):
    """nginx with its RTMP module: RTMP in and out, HLS (MPEG-TS) out.

    Args:
        idle_streams: keep players connected while nobody publishes.
        chunk_size: RTMP chunk size towards players.
    """

    name = "nginx-rtmp"

    def __init__(self, *, idle_streams: bool = True, chunk_size: int = 4096) -> None:
        super().__init__()
        self.rtmp_port = free_port()
        self._idle = idle_streams
        self._chunk = chunk_size
        (self.dir / "hls").mkdir()
        (self.dir / "files").mkdir()
        self.locations = {"/hls/": self.dir / "hls", "/files/": self.dir / "files"}

    @property
    def files(self) -> Path:
        """A directory served at `/files/`."""
        return self.dir / "files"

    def rtmp_url(self, stream: str = "stream", app: str = "live") -> str:
        """Where to publish and play; app `hls` also makes a playlist."""
        return f"rtmp://127.0.0.1:{self.rtmp_port}/{app}/{stream}"

    def hls_url(self, stream: str = "stream") -> str:
        """Playlist of a stream published to app `hls`."""
        return f"{self.url}/hls/{stream}.m3u8"

    def _modules(self) -> str:
        for directory in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"):
            module = Path(directory) / "ngx_rtmp_module.so"
            if module.exists():
                return f"load_module {module};"
        raise LabError("nginx has no RTMP module: install libnginx-mod-rtmp")

    def _rtmp(self) -> str:
        idle = "on" if self._idle else "off"
        return _RTMP.format(port=self.rtmp_port, chunk=self._chunk, idle=idle, dir=self.dir)

    def _ready(self) -> bool:
        return tcp_accepts(self.rtmp_port) and super()._ready()


def web_modules() -> Path:
    """The directory of the locked JavaScript packages.

    Raises:
        LabError: they were not installed.
    """
    modules = WEB / "node_modules"
    if not (modules / ".package-lock.json").exists():
        raise LabError(f"JavaScript packages are missing: run `npm ci` in {WEB}")
    return modules


class NodeMediaServer(Server):
    """node-media-server: RTMP in and out, HTTP-FLV out (with a cache of the current GOP)."""

    name = "node-media-server"

    def __init__(self) -> None:
        super().__init__()
        self.rtmp_port = free_port()
        self.http_port = free_port()

    def rtmp_url(self, stream: str = "stream", app: str = "live") -> str:
        """Where to publish and play."""
        return f"rtmp://127.0.0.1:{self.rtmp_port}/{app}/{stream}"

    def flv_url(self, stream: str = "stream", app: str = "live") -> str:
        """HTTP-FLV of a published stream; also takes one by POST."""
        return f"http://127.0.0.1:{self.http_port}/{app}/{stream}.flv"

    def _argv(self) -> list[str]:
        config = {
            "bind": "127.0.0.1",
            "rtmp": {"port": self.rtmp_port},
            "http": {"port": self.http_port},
            "webadmin": {"enable": False},
            "record": {"auto": False, "path": str(self.dir / "record")},
            "store": {"path": str(self.dir / "data")},
        }
        path = self.dir / "config.json"
        path.write_text(json.dumps(config))
        script = web_modules() / "node-media-server" / "bin" / "app.js"
        return [program("node"), str(script), "--config", str(path)]

    def _ready(self) -> bool:
        return tcp_accepts(self.rtmp_port) and tcp_accepts(self.http_port)


class GstRtsp(Server):
    """GStreamer's RTSP server: shared live streams over interleaved TCP (and UDP).

    Each mount listens for MPEG-TS on a UDP port; publish to `ingest_url(mount)`.
    """

    name = "gst-rtsp-server"
    mounts = ("h264-aac", "h265-aac", "h264-opus", "h264", "aac")

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self._ingest = {mount: free_port(socket.SOCK_DGRAM) for mount in self.mounts}

    def ingest_url(self, mount: str = "h264-aac") -> str:
        """Where a publisher sends MPEG-TS for a mount."""
        return f"udp://127.0.0.1:{self._ingest[mount]}?pkt_size=1316"

    def rtsp_url(self, mount: str = "h264-aac") -> str:
        """Where players find a mount."""
        return f"rtsp://127.0.0.1:{self.port}/{mount}"

    def _argv(self) -> list[str]:
        mounts = [f"{mount}={port}" for mount, port in self._ingest.items()]
        # GStreamer's Python bindings belong to the system's interpreter, not to ours.
        return ["/usr/bin/python3", str(_RTSP_SCRIPT), str(self.port), *mounts]

    def _env(self) -> Mapping[str, str]:
        return {"GST_DEBUG": "1"}

    def _ready(self) -> bool:
        return tcp_accepts(self.port)


class LiveHls:
    """A live playlist (fMP4 or TS) written by FFmpeg's muxer and served by nginx.

    Publish to `target`; players read `url`.
    """

    def __init__(self, kind: str = "fmp4") -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="lab-hls-"))
        self.kind = kind
        self._server = NginxStatic({"/live/": self.dir})

    @property
    def target(self) -> str:
        """The playlist file a publisher writes."""
        return str(self.dir / "live.m3u8")

    @property
    def options(self) -> dict[str, str]:
        """Muxer options for the publisher."""
        if self.kind == "fmp4":
            return {"hls_segment_type": "fmp4", "hls_fmp4_init_filename": "init.mp4",
                    "hls_segment_filename": str(self.dir / "seg-%05d.m4s")}  # fmt: skip
        return {"hls_segment_filename": str(self.dir / "seg-%05d.ts")}

    @property
    def again(self) -> dict[str, str]:
        """Muxer options for a publisher that returns: it goes on in the playlist that is there."""
        flags = "delete_segments+independent_segments+append_list+discont_start"
        return {**self.options, "hls_flags": flags}

    @property
    def port(self) -> int:
        """Where the playlist is served."""
        return self._server.http_port

    @property
    def url(self) -> str:
        """Where players find the playlist."""
        return f"{self._server.url}/live/live.m3u8"

    def wait_live(self, segments: int = 1) -> None:
        """Wait until the playlist lists a number of segments."""
        path = Path(self.target)
        wait_until(
            f"{segments} segments in {path}",
            lambda: path.exists() and path.read_text().count("#EXTINF") >= segments,
        )

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
