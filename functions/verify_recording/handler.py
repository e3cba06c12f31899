"""Verifies the recording that the API was asked about; the report lies in its folder."""

from typing import TYPE_CHECKING, Any

from everreel.contract.orders import VerifyAnswer, VerifyOrder
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take a verify order; return in short what was found."""
    order = VerifyOrder.model_validate(event)
    state = wiring().verifications.run(
        order.sid, remaining_s=context.get_remaining_time_in_millis() / 1000
    )
    report = state["report"] or {"counts": {"problems": 0}}
    return VerifyAnswer(
        sid=order.sid,
        complete=state["complete"],
        whole=state["whole"],
        problems=report["counts"]["problems"],
        segments_read=state["read"],
    ).dump()
