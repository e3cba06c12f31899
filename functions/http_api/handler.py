"""Answers calls of the HTTP API."""

from typing import TYPE_CHECKING, Any

import everreel.http.door  # noqa: F401 - the web framework loads while the function starts
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take the gateway's event (payload 2.0); return its answer."""
    return wiring().door(event, context)
