"""Shows the bucket to browsers: objects with byte ranges and for pages of any origin."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from everreel.media import names
from infra.local.serving import Quiet, Serving


class _Objects(Quiet):
    """Answers GET with the object of that key, or the part of it that is asked for."""

    s3: Any
    bucket: str

    def do_GET(self) -> None:
        """Hand on what the store answers."""
        key = self.path.partition("?")[0].lstrip("/")
        part = self.headers.get("Range")
        wish = {"Bucket": self.bucket, "Key": key} | ({"Range": part} if part else {})
        try:
            found = self.s3.get_object(**wish)
        except ClientError as error:
            self._send(error.response["ResponseMetadata"]["HTTPStatusCode"], b"", "text/plain")
            return
        status = 206 if "ContentRange" in found else 200
        self._send(status, found["Body"].read(), names.content_type(key), found)

    def do_OPTIONS(self) -> None:
        """Let a page of another origin send a Range header."""
        self._send(204, b"", "text/plain")

    def _send(self, status: int, body: bytes, kind: str, found: Any = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length")
        if found and "ContentRange" in found:
            self.send_header("Content-Range", found["ContentRange"])
        self.end_headers()
        self.wfile.write(body)


def bucket_proxy(s3: Any, bucket: str) -> Serving:
    """Serve a bucket on this machine: the paths are its keys."""
    return Serving(_Objects, s3=s3, bucket=bucket)
