"""Once a minute: are all machines there that live recordings need?"""

from typing import TYPE_CHECKING, Any

from everreel.observe import traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take the schedule's event, which tells nothing; return how many executions were started."""
    return {"started": wiring().sweep()}
