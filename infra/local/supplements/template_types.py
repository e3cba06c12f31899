"""Resource types that the engine's CloudFormation does not know.

AWS: has them. Engine: refuses the whole template ("Unrecognized resource types"). A composite alarm
watches other alarms and nothing here reads its state, so it is accepted and named, no more.

Test: `test_template_when_it_has_a_composite_alarm_then_*`.
"""

from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

Record = dict[str, Any]


def create(logical_id: str, properties: Record, stack: str) -> tuple[str, Record]:
    """Accept a composite alarm."""
    name = properties.get("AlarmName") or provisioners._physical_name(stack, logical_id)
    arn = f"arn:aws:cloudwatch:{get_region()}:{get_account_id()}:alarm:{name}"
    return name, {"Arn": arn}


def update(physical_id: str, _old: Record, new: Record, stack: str) -> tuple[str, Record]:
    """Accept a changed composite alarm."""
    return create(physical_id, {"AlarmName": physical_id, **new}, stack)


def delete(_physical_id: str, _properties: Record) -> None:
    """Forget a composite alarm: there is nothing to remove."""


def install() -> None:
    """Make the types known."""
    provisioners._RESOURCE_HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
        "create": create,
        "update": update,
        "delete": delete,
    }
