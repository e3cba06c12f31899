"""docs/settings.md tells of every setting, with the default that the code has."""

import re

from everreel.settings import Settings
from infra.registry import FUNCTIONS
from tests.meta.repository import ROOT

PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = {
    name: [cell.strip() for cell in rest.split("|")]
    for name, rest in re.findall(r"^\| `EVERREEL_([A-Z_]+)` \|(.*)\|$", PAGE, re.MULTILINE)
}


def test_settings_when_documented_then_all_and_no_others() -> None:
    assert set(ROWS) == {name.upper() for name in Settings.model_fields}


def test_settings_when_documented_then_their_defaults_are_the_codes() -> None:
    for name, field in Settings.model_fields.items():
        _unit, default, _by, meaning = ROWS[name.upper()]
        written = str(field.default).lower().removesuffix(".0")
        assert default.strip("`") == written or (written == "" and default in ("", "none")), name
        assert meaning


def test_settings_when_the_stack_sets_them_then_the_page_says_so() -> None:
    used = {name.upper() for row in FUNCTIONS for name in row.settings}
    assert {name for name, row in ROWS.items() if row[2] != "not set"} == used
