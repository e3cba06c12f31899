"""Answers the question of supervision: wait, seal, renew or done?"""

from typing import TYPE_CHECKING, Any

from everreel.contract.orders import LookAnswer, LookOrder, WatchMessage
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take what the machine carries; return the verdict and what to carry on."""
    order = LookOrder.model_validate(event)
    verdict, watch, name = wiring().look(**order.watch.model_dump())
    return LookAnswer(
        action=verdict.action.value,
        wait_s=verdict.wait_s,
        why=verdict.why,
        watch=WatchMessage.model_validate(watch, from_attributes=True),
        name=name,
    ).dump()
