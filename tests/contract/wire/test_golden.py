"""Nobody changes the words on the wire without noticing."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from everreel.events.ports import Happening
from tests.contract.wire.golden import FOLDER, SAMPLES, documents, text

DOCUMENTS = documents()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_words_when_made_then_are_as_promised(name: str) -> None:
    path = FOLDER / name
    assert path.exists(), f"run `make golden` and commit {name}"
    promised = path.read_text(encoding="utf-8")
    assert text(DOCUMENTS[name]) == promised, "if the change is meant: `make golden`, then review"


def test_files_when_listed_then_each_is_still_made() -> None:
    kept = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.json")}
    assert kept == set(DOCUMENTS)


def test_openapi_when_validated_then_holds() -> None:
    OpenAPIV31SpecValidator(DOCUMENTS["openapi.json"]).validate()


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENTS["openapi.json"]["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(("path", "method", "operation"), operations())
def test_operation_when_described_then_has_summary_problems_and_key(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert "422" not in operation["responses"]
    if path == "/v1/health" or (path.startswith("/v1/notices/") and method == "post"):
        assert operation["security"] == []
        return
    assert "security" not in operation, "the document's own holds"
    for status, response in operation["responses"].items():
        if not status.startswith("2"):
            assert list(response["content"]) == ["application/problem+json"], status


def test_fields_when_they_have_a_dimension_then_it_is_named_or_told() -> None:
    for name, schema in DOCUMENTS["openapi.json"]["components"]["schemas"].items():
        for field, shape in schema.get("properties", {}).items():
            if "seconds" in shape.get("description", "").lower().split(".")[0]:
                assert "Seconds" in field or field in {"coverage", "originAt", "k"}, (name, field)


def test_schemas_when_listed_then_none_is_unused_or_named_by_the_framework() -> None:
    whole = json.dumps(DOCUMENTS["openapi.json"])
    for name in DOCUMENTS["openapi.json"]["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in whole, name
        assert "-" not in name
        assert not name.endswith("ValidationError")


def test_happenings_when_listed_then_each_has_its_words() -> None:
    assert {*SAMPLES, Happening.REQUESTED} == set(Happening)
    for happening, sample in SAMPLES.items():
        assert type(sample).__name__ == happening.value
