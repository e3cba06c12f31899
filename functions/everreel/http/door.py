"""From the gateway's event to the application and back."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from mangum import Mangum

DEFAULT_STAGE = "$default"
KEEPS_OUT_OF_CACHES = {"cache-control": "no-store"}


class Door:
    """Answers events of an API Gateway HTTP API (payload format 2.0)."""

    def __init__(self, app: FastAPI) -> None:
        """Open the door to `app`."""
        # Mangum asks for the thread's event loop, which nobody makes since Python 3.14.
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._adapter = Mangum(app, lifespan="off", text_mime_types=["text/", "application/"])

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer one event; the answer carries the invocation's request id."""
        asyncio.set_event_loop(self._loop)
        answer: dict[str, Any] = self._adapter(_without_stage(event), context)
        answer["headers"] = {
            **KEEPS_OUT_OF_CACHES,
            **answer.get("headers", {}),
            "x-request-id": context.aws_request_id,
        }
        return answer

    def close(self) -> None:
        """Give the event loop back."""
        asyncio.set_event_loop(None)
        self._loop.close()


def _without_stage(event: Mapping[str, Any]) -> dict[str, Any]:
    """Take a named stage off the path: routes do not know under which stage they are served."""
    context = event["requestContext"]
    stage = f"/{context.get('stage', DEFAULT_STAGE)}"
    path: str = context["http"]["path"]
    if stage == f"/{DEFAULT_STAGE}" or not path.startswith(f"{stage}/"):
        return dict(event)
    http = {**context["http"], "path": path.removeprefix(stage)}
    return {**event, "requestContext": {**context, "http": http}}
