"""`Ref` of a secret gives its ARN.

AWS: the physical id of `AWS::SecretsManager::Secret` is the ARN, so `Ref`, `Fn::Sub` and the
resource lists of policies all name it by ARN.

Engine: the physical id is the name.

Test: `test_template_when_it_has_a_secret_then_*`.
"""

from typing import Any

import ministack.services.secretsmanager as engine_secrets
from ministack.services.cloudformation import provisioners

Record = dict[str, Any]

_TYPE = "AWS::SecretsManager::Secret"


def name_of(arn: str) -> str:
    """Find the name under which the engine keeps a secret."""
    for name, secret in engine_secrets._secrets.items():
        if secret.get("ARN") == arn:
            return str(name)
    return arn


def install() -> None:
    """Translate between ARNs outside and names inside."""
    plain = provisioners._RESOURCE_HANDLERS[_TYPE]

    def create(logical_id: str, properties: Record, *rest: Any) -> tuple[str, Record]:
        _, attributes = plain["create"](logical_id, properties, *rest)
        return attributes["Arn"], attributes

    def update(
        physical_id: str,
        old: Record,
        new: Record,
        *rest: Any,
        **named: Any,
    ) -> tuple[str, Record]:
        _, attributes = plain["update"](name_of(physical_id), old, new, *rest, **named)
        return attributes["Arn"], attributes

    def delete(physical_id: str, properties: Record) -> None:
        plain["delete"](name_of(physical_id), properties)

    provisioners._RESOURCE_HANDLERS[_TYPE] = {
        **plain,
        "create": create,
        "update": update,
        "delete": delete,
    }
