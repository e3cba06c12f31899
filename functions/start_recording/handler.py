"""Starts a recording for a `RecordingRequested` event or a test event of the console."""

from typing import TYPE_CHECKING, Any

from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take a bus event or a bare request; return `{statusCode, body}` as the HTTP API would.

    Raises what may succeed later, so that Lambda tries again and keeps what it gives up; a
    request that is wrong is answered, published as `RecordingFailed`, and not tried again.
    """
    return wiring().start_recording(event, request_id=context.aws_request_id)
