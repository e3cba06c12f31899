"""Keeps what the bus tells of tasks and laps, each thing once, whatever the order."""

from typing import TYPE_CHECKING, Any

from everreel.contract.orders import HeardAnswer
from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take an event of the bus; return whether it told something new.

    Raises what it cannot keep, so that Lambda tries again and keeps what it gives up.
    """
    return HeardAnswer(new=wiring().hear(event)).dump()
