"""Errors on the wire: RFC 9457 problem details that name the field and the fix."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError
from pydantic.alias_generators import to_camel

from everreel.contract.wire import MEANING, Reply
from everreel.errors import EverreelError, InvalidRequest, Retry

MEDIA_TYPE = "application/problem+json"

Body = TypeVar("Body", bound=BaseModel)

_SNAKE = re.compile(r"_([a-z])")
"""What inner code calls resource_id is resourceId to callers."""

_FIXES = {
    "signature_refused": "give the vendor's console and this deployment the same secret",
    "recording_not_found": "list recordings with GET /v1/recordings",
    "recording_conflict": "stop the recording that the detail names, or use another recorderUid",
    "recording_live": "stop it with POST /v1/recordings/{sid}/stop and ask again after its end",
    "resource_expired": "call POST /v1/acquire and start within five minutes",
    "already_ended": "start a new recording",
    "source_refused": "give a URL that the deployment may reach",
}
_RETRIES = {
    Retry.SAME: "send the same request again",
    Retry.LATER: "try again in a while",
    Retry.NEVER: "tell the operator the request id: the log has the cause",
}


_PLAIN = {
    "string_type": ("must be a string", "put it in quotes"),
    "int_type": ("must be a whole number", "write digits without quotes or a decimal point"),
    "int_parsing": ("must be a whole number", "write digits only"),
    "bool_type": ("must be true or false", "write it without quotes"),
    "bool_parsing": ("must be true or false", "write one of them"),
    "greater_than_equal": ("must be at least {ge}", "raise it to {ge} or more"),
    "less_than_equal": ("must be at most {le}", "lower it to {le} or less"),
    "string_too_short": ("must not be empty", "write something or leave the field out"),
    "string_too_long": ("must have at most {max_length} characters", "shorten it"),
}
"""pydantic's error type -> what is wrong, as the end of a sentence, and the fix."""


class FieldProblem(Reply):
    """One field that is wrong."""

    field: Annotated[str | None, Field(description="Its path; null: the body as a whole.")]
    detail: str
    fix: str


class Problem(Reply):
    """Why a request was not carried out (RFC 9457)."""

    type: Annotated[str, Field(examples=["urn:everreel:problem:invalid_request"])]
    title: Annotated[str, Field(description="The same for every problem of this type.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What is wrong this time.")]
    code: Annotated[str, Field(description="Stable name to act upon.")]
    field: Annotated[
        str | None, Field(description="The field at fault, in the API's own words, or null.")
    ]
    fix: Annotated[str, Field(description="How to mend it.")]
    errors: Annotated[
        tuple[FieldProblem, ...], Field(description="Every field at fault, if several are.")
    ] = ()


class Invalid(InvalidRequest):
    """A request with at least one wrong field.

    Attributes:
        problems: all of them; the error itself speaks of the first.
    """

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        """Keep `problems`, at least one."""
        super().__init__(problems[0].detail, field=problems[0].field)
        self.problems = problems


def problem(code: str, status: int, detail: str, *, fix: str, field: str | None = None) -> Problem:
    """Make a problem that is not an error of the tree (no such route, body too large)."""
    return Problem(
        type=f"urn:everreel:problem:{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        code=code,
        field=field,
        fix=fix,
    )


def problem_of(error: EverreelError) -> Problem:
    """Write an error as callers may read it."""
    field = error.field and _SNAKE.sub(lambda found: found[1].upper(), error.field)
    made = problem(
        error.code,
        error.http_status,
        error.message,
        field=field,
        fix=_FIXES.get(error.code, _RETRIES[error.retry]),
    )
    if isinstance(error, Invalid):
        first, *others = error.problems
        errors = tuple(error.problems) if others else ()
        return made.model_copy(update={"fix": first.fix, "errors": errors})
    if isinstance(error, InvalidRequest):
        return made.model_copy(update={"fix": f"correct `{field}`" if field else "correct it"})
    return made


def read(model: type[Body], value: object) -> Body:
    """Read a JSON value as `model`. Raises: Invalid."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False), model) from None


def invalid(errors: Sequence[Mapping[str, Any]], model: type[BaseModel] | None = None) -> Invalid:
    """Say in the API's own words what pydantic found; `model` lets it name the known fields."""
    return Invalid([_field_problem(error, model) for error in errors])


def _field_problem(error: Mapping[str, Any], model: type[BaseModel] | None) -> FieldProblem:
    path = [part for part in error["loc"] if isinstance(part, str)]
    field = ".".join(path) or None
    detail, fix = _explain(error, path, model)
    name = f"`{field}`" if field else "the body"
    return FieldProblem(field=field, detail=f"{name} {detail}", fix=fix)


def _explain(
    error: Mapping[str, Any], path: Sequence[str], model: type[BaseModel] | None
) -> tuple[str, str]:
    """Return what is wrong, as the end of a sentence, and the fix."""
    kind, ctx = error["type"], error.get("ctx", {})
    match kind:
        case "missing":
            return "is missing", "add it" if path else "send a JSON object"
        case "extra_forbidden":
            return "is not a field of this request", _nearest(path, model)
        case "json_invalid":
            return f"is not JSON: {ctx.get('error', 'it cannot be read')}", "send a JSON object"
        case "string_pattern_mismatch" if ctx["pattern"] in MEANING:
            meaning, fix = MEANING[ctx["pattern"]]
            return f"must be {meaning}", fix
        case "model_attributes_type" | "model_type" | "dict_type":
            if path:
                return "must be a JSON object", "write it as {…}"
            return "must be a JSON object", "send it with Content-Type: application/json"
        case "enum" | "literal_error":
            return f"must be {ctx['expected']}", "use one of these words"
    if kind in _PLAIN:
        detail, fix = _PLAIN[kind]
        return detail.format(**ctx), fix.format(**ctx)
    wish = str(error["msg"]).removeprefix("Input ").removeprefix("String ").removeprefix("Value ")
    return wish[:1].lower() + wish[1:], "see /v1/openapi.json"


def _nearest(path: Sequence[str], model: type[BaseModel] | None) -> str:
    """Name the field that was probably meant, or all that there are."""
    for part in path[:-1]:
        model = _model_at(model, part)
    if model is None:
        return "remove it"
    known = [info.alias or name for name, info in model.model_fields.items()]
    meant = get_close_matches(to_camel(path[-1].replace("-", "_")), known, n=1)
    if meant:
        return f"write {meant[0]}"
    return f"remove it; there are {', '.join(known)}" if known else "remove it"


def _model_at(model: type[BaseModel] | None, part: str) -> type[BaseModel] | None:
    for name, info in model.model_fields.items() if model else ():
        if part in {name, info.alias}:
            kinds = [info.annotation, *get_args(info.annotation)]
            return next(
                (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)),
                None,
            )
    return None
