"""Turns whatever goes wrong in the door into a problem body (RFC 9457)."""

import logging
from typing import get_args, get_type_hints

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from everreel.contract.problems import MEDIA_TYPE, Problem, invalid, problem, problem_of
from everreel.errors import EverreelError, Retry

log = logging.getLogger(__name__)

PLACES = frozenset({"body", "query", "path", "header", "cookie"})
RETRY_AFTER_S = "1"

LARGEST_BODY = 64 * 1024
"""Bytes; the longest legal request is a twentieth of it."""

TOO_LARGE = problem(
    "body_too_large",
    413,
    f"the body is larger than {LARGEST_BODY} bytes",
    fix="send only the fields of /v1/openapi.json",
)


class RefuseLargeBodies:
    """Answers 413 to a request that announces too long a body, or sends one unannounced."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is short enough."""
        length = Headers(scope=scope).get("content-length", "") if scope["type"] == "http" else ""
        if length.isdecimal() and int(length) > LARGEST_BODY:
            await reply(TOO_LARGE)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(TOO_LARGE.status)
            return message

        await self._app(scope, counted, send)


def answer_with_problems(app: FastAPI) -> None:
    """Let every error of `app` be answered by a problem."""
    app.add_middleware(RefuseLargeBodies)
    app.add_exception_handler(EverreelError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _protocol)
    app.add_exception_handler(Exception, _unknown)


def reply(made: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Make the response that carries a problem."""
    return JSONResponse(
        made.dump(), status_code=made.status, headers=headers, media_type=MEDIA_TYPE
    )


async def _known(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of the tree."""
    if not isinstance(error, EverreelError):
        raise error
    log.log(
        logging.ERROR if error.http_status >= 500 else logging.INFO,
        "%s %s: %s: %s",
        request.method,
        request.url.path,
        error.code,
        error.message,
    )
    again = error.retry is not Retry.NEVER
    return reply(problem_of(error), {"retry-after": RETRY_AFTER_S} if again else None)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer a request that the models refuse."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = []
    for each in error.errors():
        place, *path = each["loc"]
        found.append({**each, "loc": path if place in PLACES else each["loc"]})
    return await _known(request, invalid(found, _model_read(request)))


def _model_read(request: Request) -> type[BaseModel] | None:
    """Return the model that the route reads, so that an error text can list its fields."""
    hints = get_type_hints(request.scope["endpoint"])
    hints.pop("return", None)
    kinds = [kind for hint in hints.values() for kind in (hint, *get_args(hint))]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if models else None


async def _protocol(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refuses: no such route, wrong method, too large, unreadable."""
    if not isinstance(error, HTTPException):
        raise error
    path = request.url.path
    made = {
        404: problem(
            "no_such_route", 404, f"there is nothing at {path}", fix="see /v1/openapi.json"
        ),
        405: problem(
            "method_not_allowed",
            405,
            f"{path} does not answer {request.method}",
            fix="use a method of the Allow header",
        ),
        413: TOO_LARGE,
    }.get(error.status_code)
    if made is None:
        made = problem(
            "invalid_request", 400, "the body cannot be read", fix="send a JSON object in UTF-8"
        )
    return reply(made, dict(error.headers or {}))


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    """Answer a bug of ours without a word about its insides; the log has them."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return reply(
        problem(
            "internal",
            500,
            "something went wrong that should not have",
            fix="tell the operator the x-request-id of this answer: the log has the cause",
        )
    )
