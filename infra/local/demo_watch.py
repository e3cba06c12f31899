"""A small web server of the demo: shows the bucket's objects of one recording to local players."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from everreel.media import names
from infra.local.serving import Quiet, Serving

PAGE = Path(__file__).with_name("assets") / "watch.html"


class _Request(Quiet):
    """Answers one request."""

    server_version = "everreel-demo"
    timeout = 30.0
    s3: Any  # boto3 makes its clients at run time
    bucket: str
    folder: str

    def do_GET(self) -> None:
        """Send the page, or an object of the recording."""
        name = self.path.partition("?")[0].lstrip("/")
        if not name:
            self._send(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif names.parse(self.folder + name) is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send_object(name)

    def _send_object(self, name: str) -> None:
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=self.folder + name)
        except self.s3.exceptions.NoSuchKey:
            self.send_error(HTTPStatus.NOT_FOUND, explain="not there yet")
            return
        self._send(found["Body"].read(), names.content_type(name))

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(body)


def watch_server(s3: Any, bucket: str, folder: str) -> Serving:
    """Serve the page at the root, and the bucket's objects whose key begins with `folder`."""
    return Serving(_Request, s3=s3, bucket=bucket, folder=folder)
