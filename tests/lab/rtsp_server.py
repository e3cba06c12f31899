"""GStreamer's RTSP server as a program: `rtsp_server.py PORT MOUNT=UDP_PORT ...`.

Runs in the system's Python, which has the GObject bindings. Every mount is one live source shared
by all players: MPEG-TS on a UDP port of 127.0.0.1, depacketised once and sent as RTP.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

VIDEO = {
    "h264": "h264parse config-interval=-1 ! rtph264pay name=pay{n} pt=96",
    "h265": "h265parse config-interval=-1 ! rtph265pay name=pay{n} pt=96",
}
AUDIO = {
    "aac": "aacparse ! rtpmp4gpay name=pay{n} pt=97",
    "opus": "opusparse ! rtpopuspay name=pay{n} pt=97",
}


def launch_line(mount: str, port: int) -> str:
    """Describe the pipeline of a mount named by its codecs, such as h264-aac."""
    codecs = mount.split("-")
    branches = []
    for n, codec in enumerate(codecs):
        chain = {**VIDEO, **AUDIO}[codec].format(n=n)
        # Unbounded: a full queue would starve the other branch while players wait for a keyframe.
        branches.append(f"d. ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! {chain}")
    return (
        # Without arrival times the demuxer keeps the stream's own times to the tick; with them it
        # follows the sender's jitter and bends audio and video by tens of milliseconds.
        f"( udpsrc address=127.0.0.1 port={port} buffer-size=4000000 do-timestamp=false "
        "caps=video/mpegts,systemstream=true,packetsize=188 ! "
        "queue max-size-buffers=0 max-size-bytes=0 max-size-time=0 ! "
        "tsdemux name=d " + " ".join(branches) + " )"
    )


def main(argv: list[str]) -> None:
    """Serve the mounts until ended."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(argv[0])
    points = server.get_mount_points()
    for mount, port in (pair.split("=") for pair in argv[1:]):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch_line(mount, int(port)))
        factory.set_shared(True)
        points.add_factory(f"/{mount}", factory)
    # Otherwise a player that is slow for a moment loses packets over TCP.
    server.connect("client-connected", lambda _, client: client.set_property("drop-backlog", False))
    if server.attach(None) == 0:
        sys.exit(f"cannot listen on 127.0.0.1:{argv[0]}")
    print(f"serving on {argv[0]}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1:])
