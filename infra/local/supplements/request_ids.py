"""The answer to an invocation carries the request id that the function sees.

AWS: `x-amzn-RequestId` of an Invoke answer is the invocation's `aws_request_id`, for asynchronous
invocations too, and every retry of one event keeps it.

Engine: draws a new id for the answer and another one for each attempt.

Tests: `test_async_invocation_*`.
"""

import re
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import ministack.services.lambda_svc as engine_lambda

Record = dict[str, Any]
Application = Callable[[Record, Any, Any], Awaitable[None]]

_INVOCATION = re.compile(r"^/\d{4}-\d{2}-\d{2}/functions/[^/]+/invocations$")
_current: ContextVar[str | None] = ContextVar("request_id", default=None)
_plain_dispatch = engine_lambda._execute_function_dispatch


def current() -> str:
    """Give the request id of the invocation at hand, or a new one."""
    return _current.get() or str(uuid.uuid4())


def assume(request_id: str) -> None:
    """Let what this thread executes from now on run under a request id."""
    _current.set(request_id)


def dispatch(
    func: Record, config: Record, event: object, request_id: str, started: float
) -> Record:
    """Execute an invocation under the id its caller was told."""
    result: Record = _plain_dispatch(func, config, event, _current.get() or request_id, started)
    return result


def around(application: Application) -> Application:
    """Wrap the engine's application: choose the id first, then answer with it."""
    engine_lambda._execute_function_dispatch = dispatch

    async def answer(scope: Record, receive: object, send: Callable[[Record], Any]) -> None:
        if scope["type"] != "http" or not _INVOCATION.match(scope["path"]):
            await application(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        assume(request_id)

        async def send_with_id(message: Record) -> None:
            if message["type"] == "http.response.start":
                kept = [h for h in message["headers"] if h[0].lower() != b"x-amzn-requestid"]
                kept.append((b"x-amzn-requestid", request_id.encode()))
                message = {**message, "headers": kept}
            await send(message)

        await application(scope, receive, send_with_id)

    return answer
