"""Seals the recording named by the state machine or by a `LapEnded` event on the bus."""

from typing import TYPE_CHECKING, Any

from everreel.contract.orders import SealAnswer, SealOrder
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take a seal order, bare or as the detail of a bus event; return what was sealed."""
    detail = event.get("detail")
    order = SealOrder(sid=detail["sid"]) if detail else SealOrder.model_validate(event)
    report = wiring().seal(order.sid, remaining_s=context.get_remaining_time_in_millis() / 1000)
    return SealAnswer(
        sid=order.sid,
        sealed=report.sealed,
        status=report.status.value,
        segments=report.segments,
        media_us=report.media_us,
    ).dump()
