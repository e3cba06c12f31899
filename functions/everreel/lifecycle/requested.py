"""The door of the bus and of the console: starts what a `RecordingRequested` asks for."""

import logging
from collections.abc import Mapping
from typing import Any

from everreel.contract.problems import Problem, problem_of, read
from everreel.contract.requests import RequestedBody
from everreel.errors import Blame, EverreelError, InvalidRequest
from everreel.events.ports import Event, EventBus, Happening
from everreel.ids import resource_id_of_request
from everreel.lifecycle import words
from everreel.lifecycle.use_cases import Lifecycle
from everreel.state.recording import Recording

log = logging.getLogger(__name__)

ACCEPTED = 202


def start_requested(
    event: Mapping[str, Any], *, request_id: str, lifecycle: Lifecycle, bus: EventBus
) -> dict[str, Any]:
    """Start what `event` asks for and answer `{statusCode, body}`.

    `event` is an EventBridge event, or the bare request as pasted into the console. A repeat finds
    the recording of the first: by `requestKey`, else by the event's id, else by `request_id`,
    which Lambda keeps when it tries an invocation again.
    Raises: errors that are not the caller's; trying again may help.
    """
    try:
        recording = _start(event, request_id, lifecycle)
    except EverreelError as error:
        if error.blame is not Blame.CALLER:
            raise
        problem = problem_of(error)
        log.warning("request refused: %s: %s", problem.code, problem.detail)
        bus.publish(_refused(problem, event, request_id))
        return {"statusCode": problem.status, "body": problem.dump()}
    return {"statusCode": ACCEPTED, "body": words.started(recording).dump()}


def _start(event: Mapping[str, Any], request_id: str, lifecycle: Lifecycle) -> Recording:
    door, wish, key = "console", event, request_id
    if "detail-type" in event:
        if event["detail-type"] != Happening.REQUESTED:
            raise InvalidRequest(
                f"only events of type {Happening.REQUESTED} start recordings", field="detail-type"
            )
        door, wish, key = "bus", event.get("detail", {}), event.get("id", request_id)
    body = read(RequestedBody, wish)
    request = words.with_defaults(words.start_request(body))
    if body.request_key is not None:
        door, key = "request", f"{request.app} {body.request_key}"
    return lifecycle.start_now(resource_id_of_request(door, key), request)


def _refused(problem: Problem, event: Mapping[str, Any], request_id: str) -> Event:
    return Event(
        Happening.FAILED,
        "",
        {
            "error": {"code": problem.code, "message": problem.detail, "field": problem.field},
            "requestId": request_id,
            "eventId": event.get("id") if "detail-type" in event else None,
        },
    )
