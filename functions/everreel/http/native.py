"""The native API: acquire, start, query, list, stop."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query

from everreel import __version__
from everreel.contract.replies import (
    AcquireReply,
    HealthReply,
    ListReply,
    RecordingReply,
    StartReply,
    StopReply,
)
from everreel.contract.requests import (
    LONGEST_REQUEST_KEY,
    AcquireBody,
    DescribeQuery,
    ListQuery,
    StartBody,
    StopBody,
)
from everreel.contract.wire import Sid
from everreel.ids import new_resource_id, resource_id_of_request
from everreel.lifecycle import words
from everreel.lifecycle.use_cases import Lifecycle

SidInPath = Annotated[Sid, Path()]


def problems(**texts: str) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route answers with, `s<status>=text`."""
    content = {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    }
    texts = {**texts, "default": "Any other problem"}
    return {
        key if key == "default" else int(key[1:]): {"description": text, "content": content}
        for key, text in texts.items()
    }


def native_routes(lifecycle: Lifecycle, bucket: str) -> APIRouter:
    """Make the routes; `bucket` is where callers find the files."""
    routes = APIRouter(prefix="/v1")
    invalid = "A field is wrong; the problem names it"
    unknown = "No such recording"

    @routes.post(
        "/acquire",
        summary="Get the right to start one recording within five minutes",
        responses=problems(s400=invalid),
    )
    def acquire(body: AcquireBody) -> AcquireReply:
        return words.acquired(lifecycle.acquire(body.app, body.channel, body.recorder_uid))

    @routes.post(
        "/start",
        status_code=202,
        summary="Start a recording; answers at once, media follow",
        description=(
            "With a `resourceId` of acquire, or in one step without. The same resource id or the "
            "same `Idempotency-Key` again gives the same recording; a start that failed half-way "
            "is completed by its repeat."
        ),
        responses=problems(
            s400=invalid,
            s409="(app, channel, recorderUid) is being recorded already, or the start came too "
            "late for its own recording",
            s410="The resource id is unknown or older than five minutes",
        ),
    )
    def start(
        body: StartBody,
        idempotency_key: Annotated[
            str | None,
            Header(
                alias="Idempotency-Key",
                min_length=1,
                max_length=LONGEST_REQUEST_KEY,
                description=(
                    "For a start in one step: a repeat with the same key within a day finds the "
                    "recording of the first. Not used when the body has a `resourceId`."
                ),
            ),
        ] = None,
    ) -> StartReply:
        request = words.start_request(body)
        if body.resource_id is not None:
            return words.started(lifecycle.start(body.resource_id, request))
        request = words.with_defaults(request)
        key = (
            new_resource_id()
            if idempotency_key is None
            else resource_id_of_request(f"http {request.app}", idempotency_key)
        )
        return words.started(lifecycle.start_now(key, request))

    @routes.get(
        "/recordings",
        summary="List an app's recordings, newest first",
        responses=problems(s400=invalid),
    )
    def list_recordings(query: Annotated[ListQuery, Query()]) -> ListReply:
        return words.listed(lifecycle.list(query.app, limit=query.limit, token=query.token))

    @routes.get(
        "/recordings/{sid}",
        summary="Query a recording",
        responses=problems(s400=invalid, s404=unknown),
    )
    def describe(sid: SidInPath, query: Annotated[DescribeQuery, Query()]) -> RecordingReply:
        snapshot = lifecycle.query(sid)
        page = None
        if query.segments:
            rows = lifecycle.segments(sid, after=query.after, limit=query.limit)
            page = words.segment_page(snapshot.recording, rows, query.limit)
        return words.described(snapshot, page, bucket)

    @routes.post(
        "/recordings/{sid}/stop",
        status_code=202,
        summary="Ask a recording to stop; may be repeated until it has ended",
        responses=problems(s400=invalid, s404=unknown, s409="It has ended already"),
    )
    def stop(sid: SidInPath, _body: Annotated[StopBody | None, Body()] = None) -> StopReply:
        return words.stopping(lifecycle.stop(sid))

    @routes.get("/health", summary="Tell that the API answers", openapi_extra={"security": []})
    def health() -> HealthReply:
        return HealthReply(status="ok", version=__version__)

    return routes
