"""The web application: native routes, problems, and its own description."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from everreel import __version__
from everreel.contract.problems import Problem
from everreel.events.fan_in import NoticeDoor
from everreel.http.native import native_routes
from everreel.http.notices import notice_routes
from everreel.http.problems import answer_with_problems
from everreel.http.verify import verify_routes
from everreel.lifecycle.use_cases import Lifecycle
from everreel.sealing.verification import Verifications

ABOUT = """\
Starts, watches, stops and finds recordings of live streams.

Every answer outside 2xx is a problem (RFC 9457) whose `code` is stable and whose `field` and `fix`
say what to change. Names are camelCase, durations seconds, instants ISO 8601 in UTC.
"""


def create_app(
    lifecycle: Lifecycle,
    *,
    bucket: str,
    notices: NoticeDoor | None = None,
    verifications: Verifications | None = None,
) -> FastAPI:
    """Make the application over the use cases; `bucket` is where callers find the files.

    With `notices` vendors find the routes to tell theirs, with `verifications` callers those to
    have a recording verified.
    """
    app = FastAPI(
        title="everreel",
        version=__version__,
        description=ABOUT,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    answer_with_problems(app)
    app.include_router(native_routes(lifecycle, bucket))
    if verifications is not None:
        app.include_router(verify_routes(verifications))
    if notices is not None:
        app.include_router(notice_routes(notices))
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """Make the OpenAPI document once, with what FastAPI does not know: problems and keys."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        parts = document.setdefault("components", {})
        problem = Problem.model_json_schema(
            mode="serialization", ref_template="#/components/schemas/{model}"
        )
        parts["schemas"] |= problem.pop("$defs")
        parts["schemas"]["Problem"] = problem
        parts["schemas"] = dict(sorted(parts["schemas"].items()))
        parts["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "The key's secret."},
            "basic": {"type": "http", "scheme": "basic", "description": "The key's id and secret."},
        }
        document["security"] = [{"bearer": []}, {"basic": []}]
        app.openapi_schema = document
    return app.openapi_schema
