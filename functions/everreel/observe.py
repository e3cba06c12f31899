"""Logs, metrics and traces of the handlers; domain code logs with the standard library."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Handler = Callable[[dict[str, Any], "LambdaContext"], dict[str, Any]]

logger = Logger(service="everreel")


def traced(handler: Handler) -> Handler:
    """Log the calls of a handler as JSON with request id; never the event, it may hold secrets."""
    logging.getLogger("everreel").setLevel(logger.log_level)
    copy_config_to_registered_loggers(source_logger=logger, include={"everreel"})
    logging.getLogger("everreel").propagate = False

    @wraps(handler)
    def wrapped(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
        logger.append_keys(request_id=context.aws_request_id, function=context.function_name)
        try:
            return handler(event, context)
        except Exception:
            logger.exception("the call failed")
            raise

    return wrapped
