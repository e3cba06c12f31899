"""Every error of the tree as callers read it."""

import pytest

from everreel import errors
from everreel.contract.problems import problem_of
from everreel.errors import EverreelError, InvalidRequest, Retry


def every_error() -> list[type[EverreelError]]:
    found, new = [], [EverreelError]
    while new:
        found += new
        new = [child for kind in new for child in kind.__subclasses__()]
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_error_when_told_then_has_type_title_status_code_and_fix(
    kind: type[EverreelError],
) -> None:
    problem = problem_of(kind("what is wrong", field="resource_id"))
    assert problem.type == f"urn:everreel:problem:{kind.code}"
    assert problem.status == kind.http_status
    assert problem.title[0].isupper()
    assert problem.detail == "what is wrong"
    assert problem.field == "resourceId"
    assert problem.fix
    if kind.retry is Retry.SAME:
        assert problem.fix == "send the same request again"


def test_codes_when_compared_then_belong_to_one_status_each() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in every_error():
        statuses.setdefault(kind.code, set()).add(kind.http_status)
    assert not {code: found for code, found in statuses.items() if len(found) > 1}


def test_field_when_it_is_a_path_then_stays_one() -> None:
    assert problem_of(InvalidRequest("x", field="options.segmentSeconds")).field == (
        "options.segmentSeconds"
    )
    assert problem_of(InvalidRequest("x")).field is None
