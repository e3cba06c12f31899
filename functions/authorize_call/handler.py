"""Answers the gateway's question: does this call carry a key we know?"""

from typing import TYPE_CHECKING, Any

from everreel.observe import logger, traced
from everreel.wiring import wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@traced
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take an authorizer event (payload 2.0); return the simple response.

    An error, as when the keys cannot be read, lets nobody in either: the gateway answers 500 and,
    unlike a refusal, does not remember it.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    holder = wiring().keys.holder(headers.get("authorization", ""))
    if holder is None:
        http = event.get("requestContext", {}).get("http", {})
        logger.warning("refused", extra={"source_ip": http.get("sourceIp")})
        return {"isAuthorized": False, "context": {}}
    return {"isAuthorized": True, "context": {"keyId": holder}}
