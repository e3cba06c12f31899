"""Answers the machine of a lane: which lap is next, and when; then starts it."""

from typing import TYPE_CHECKING, Any

from everreel.contract.orders import LaneAnswer, LaneOrder, LaneWatchMessage
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take what the machine carries; with a task's token start what is due, else plan it."""
    order = LaneOrder.model_validate(event)
    told = order.watch.model_dump()
    if order.token:
        return {"lap": wiring().start_lap(told, owner=order.owner, token=order.token)}
    verdict, watch, name = wiring().plan_lap(told, owner=order.owner, lost=order.lost.Error)
    return LaneAnswer(
        action=verdict.action,
        wait_s=verdict.wait_s,
        why=verdict.why,
        watch=LaneWatchMessage.model_validate(watch, from_attributes=True),
        name=name,
    ).dump()
