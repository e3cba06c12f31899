"""A synthesised stack as the tests read it: plain JSON, no CDK, no Node.js in the test process."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly with one stack."""

    folder: Path
    stack: str

    @property
    def template_path(self) -> Path:
        return self.folder / f"{self.stack}.template.json"

    @cached_property
    def template(self) -> Json:
        read: Json = json.loads(self.template_path.read_text())
        return read

    @cached_property
    def nag(self) -> Json:
        report: Json = json.loads((self.folder / "validation-report.json").read_text())
        (only,) = report["pluginReports"]
        found: Json = only
        return found

    def of_type(self, kind: str) -> dict[str, Json]:
        """Give the resources of a type by logical id."""
        return {
            name: resource
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == kind
        }

    def properties(self, kind: str) -> list[Json]:
        return [resource["Properties"] for resource in self.of_type(kind).values()]

    def only(self, kind: str) -> Json:
        """Give the properties of the one resource of a type."""
        (found,) = self.properties(kind)
        return found

    def id_of(self, kind: str, starts: str = "") -> str:
        (found,) = [name for name in self.of_type(kind) if name.startswith(starts)]
        return found

    def functions(self) -> dict[str, Json]:
        """Give the functions' properties by the folder of their handler."""
        return {
            properties["Handler"].split(".")[0]: properties
            for properties in self.properties("AWS::Lambda::Function")
        }

    def function_of(self, logical_id: str) -> str:
        """Say which function's folder an alias, a version or a function belongs to."""
        resource = self.template["Resources"][logical_id]
        if resource["Type"] != "AWS::Lambda::Function":
            return self.function_of(resource["Properties"]["FunctionName"]["Ref"])
        handler: str = resource["Properties"]["Handler"]
        return handler.split(".", maxsplit=1)[0]

    def role_statements(self, logical_id: str) -> list[Json]:
        """Give every statement of a role: its own policies and those attached to it."""
        role = self.template["Resources"][logical_id]["Properties"]
        documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
        documents += [
            policy["PolicyDocument"]
            for policy in self.properties("AWS::IAM::Policy")
            if {"Ref": logical_id} in policy["Roles"]
        ]
        return [statement for document in documents for statement in document["Statement"]]

    def function_statements(self, folder: str) -> list[Json]:
        return self.role_statements(self.functions()[folder]["Role"]["Fn::GetAtt"][0])


def machines(value: Any) -> set[str]:
    """Name the state machines whose ARNs a value holds: they are written out, not referred to."""
    return set(re.findall(r":stateMachine:[A-Za-z0-9]+-([a-z]+)", json.dumps(value)))


def many(value: Any) -> list[Any]:
    """IAM writes a list of one as the one."""
    return value if isinstance(value, list) else [value]


def targets(assembly: Assembly, value: Any) -> Iterator[str]:
    """Find the logical ids that a value refers to, however deep."""
    if isinstance(value, dict):
        if "Ref" in value and value["Ref"] in assembly.template["Resources"]:
            yield value["Ref"]
        if "Fn::GetAtt" in value:
            yield value["Fn::GetAtt"][0]
        for each in value.values():
            yield from targets(assembly, each)
    elif isinstance(value, list):
        for each in value:
            yield from targets(assembly, each)
