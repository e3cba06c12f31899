"""Runs the lap that the event names."""

from typing import TYPE_CHECKING, Any

from everreel.contract.orders import LapOrderMessage, OutcomeMessage
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take a lap order; return how the lap ended."""
    order = LapOrderMessage.model_validate(event)
    outcome = wiring().record_lap(
        order.sid,
        order.lane,
        order.lap,
        follows=order.follows,
        relieves=order.relieves,
        recorder_uid=order.recorder_uid,
        request_id=context.aws_request_id,
        remaining_s=context.get_remaining_time_in_millis() / 1000,
    )
    return OutcomeMessage(
        sid=outcome.sid,
        reason=outcome.reason.value,
        fenced=outcome.fenced,
        segments=outcome.progress.segments,
        media_us=outcome.progress.media_us,
        error=outcome.failure.message if outcome.failure else None,
    ).dump()
