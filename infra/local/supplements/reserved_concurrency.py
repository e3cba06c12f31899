"""Reserved concurrency is one number per function, whatever alias or version is called.

AWS: invocations beyond `ReservedConcurrentExecutions` get `TooManyRequestsException`.

Engine: drops the property in templates (`template_properties` puts it back) and forgets it for
calls through a version or alias.

Test: `test_reserved_concurrency_*`.
"""

from typing import Any

import ministack.services.lambda_svc as engine_lambda

_plain = engine_lambda._reserved_concurrency


def reserved(func: dict[str, Any], config: dict[str, Any]) -> int | None:
    """Find the limit on the function itself."""
    base = engine_lambda._functions.get(config.get("FunctionName", ""))
    limit: int | None = _plain(base or func, config)
    return limit


def install() -> None:
    """Look the limit up by the function's name."""
    engine_lambda._reserved_concurrency = reserved
