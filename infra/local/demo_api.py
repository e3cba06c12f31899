"""The demo as a client of the HTTP API: nothing but what any caller could do."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

_SECONDS = 30.0


class ApiRefused(Exception):
    """The API answered with a problem; the message is its detail and the fix it names."""


class RecordingApi:
    """Calls the native API with a key.

    Attributes:
        url: of the API.
        key: what callers must present.
    """

    def __init__(self, url: str, key: str) -> None:
        """Call the API at `url`."""
        self.url = url.rstrip("/")
        self.key = key
        # An address of this machine is not for a proxy, whatever the environment says.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def health(self) -> dict[str, Any]:
        """Ask whether it is there."""
        return self._call("GET", "/v1/health")

    def acquire(self, channel: str) -> str:
        """Get the right to start a recording; gives the resource id."""
        resource_id: str = self._call("POST", "/v1/acquire", {"channel": channel})["resourceId"]
        return resource_id

    def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start a recording."""
        return self._call("POST", "/v1/start", request, expected=202)

    def describe(self, sid: str, *, after: int = -1) -> dict[str, Any]:
        """Ask about a recording and its segments with numbers above `after`."""
        return self._call("GET", f"/v1/recordings/{sid}?segments=true&after={after}")

    def stop(self, sid: str) -> dict[str, Any]:
        """Ask a recording to stop."""
        return self._call("POST", f"/v1/recordings/{sid}/stop")

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, expected: int = 0
    ) -> dict[str, Any]:
        """Send a request.

        Raises:
            ApiRefused: the answer is a problem, no JSON, or not the expected status.
        """
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310
        request.add_header("Authorization", f"Bearer {self.key}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            raise ApiRefused(_problem(method, path, error.code, error.read())) from error
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            raise ApiRefused(f"{method} {path}: no answer ({error})") from error
        if expected and status != expected:
            raise ApiRefused(f"{method} {path}: HTTP {status} instead of {expected}")
        found: dict[str, Any] = json.loads(text)
        return found


def _problem(method: str, path: str, status: int, text: bytes) -> str:
    """Say what a problem document says, or what came instead of one."""
    where = f"{method} {path.partition('?')[0]}: HTTP {status}"
    try:
        problem = json.loads(text)
        said = f"{where}, {problem['detail']}"
        return f"{said} ({problem['fix']})" if problem.get("fix") else said
    except (ValueError, KeyError, TypeError):
        return f"{where}, {text[:300].decode(errors='replace')}"
