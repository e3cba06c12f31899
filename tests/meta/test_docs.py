"""The documentation keeps up with the code: what has a name is explained, what is linked exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from everreel import errors
from everreel.events.ports import Happening
from everreel.media import tolerances
from everreel.media.segment import Cause
from everreel.settings import Settings
from everreel.state.recording import Reason
from everreel.state.status import Status
from everreel.supervisor.backoff import CONFIRM_S
from infra.parameters import KEYS
from infra.registry import FUNCTIONS
from tests.meta.repository import ROOT, relative, tracked

PAGES = [path for path in tracked() if path.suffix == ".md" and "tests" not in path.parts]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)", re.DOTALL)
EXTERNAL = re.compile(r"[a-z]+:", re.IGNORECASE)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """Give the table rows of a page by their first cell, without its code marks."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            found[cells[0].strip("`")] = cells[1:]
    return found


def anchors(text: str) -> set[str]:
    """Name the places of a page that a link can point at, as repository hosts do."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


def error_classes() -> list[type[errors.EverreelError]]:
    found = [errors.EverreelError]
    for known in found:
        found += known.__subclasses__()
    return [each for each in found if each.__module__ == errors.__name__]


def alarms() -> Iterator[str]:
    """Name every alarm without the stack's name, as `infra/watch.py` makes them."""
    queues: list[str] = []
    for node in ast.walk(ast.parse((ROOT / "infra" / "stack.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "queues":
            assert isinstance(node.value, ast.Dict)
            queues = [str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)]
    kinds = {"function": [row.name.replace("_", "-") for row in FUNCTIONS], "queue": queues}
    for node in ast.walk(ast.parse((ROOT / "infra" / "watch.py").read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr != "_alarm":
            continue
        name = node.args[0]
        if isinstance(name, ast.Constant):
            yield str(name.value)
        else:
            assert isinstance(name, ast.JoinedStr)
            variable, rest = name.values
            assert isinstance(variable, ast.FormattedValue)
            assert isinstance(variable.value, ast.Name)
            assert isinstance(rest, ast.Constant)
            yield from (each + str(rest.value) for each in kinds[variable.value.id])


def commands() -> Iterator[tuple[str, str]]:
    """Give every line of a code block that runs something, with its page."""
    for path in PAGES:
        for block in FENCE.finditer(path.read_text(encoding="utf-8")):
            for line in block.group().splitlines()[1:-1]:
                yield relative(path), line.strip()


def test_error_codes_when_raised_by_anything_then_the_runbook_has_cause_and_fix() -> None:
    table = rows(page("runbook.md"))
    for each in error_classes():
        assert each.code in table, f"docs/runbook.md does not explain {each.code}"
        status, who, cause, fix = table[each.code]
        assert status == str(each.http_status), each.code
        assert who == f"{each.blame.value}, {each.retry.value}", each.code
        assert cause, each.code
        assert fix, each.code


def test_problems_of_the_door_when_answered_then_the_runbook_has_cause_and_fix() -> None:
    table = rows(page("runbook.md"))
    door = ROOT / "functions" / "everreel" / "http" / "problems.py"
    codes = [
        str(node.args[0].value)
        for node in ast.walk(ast.parse(door.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "problem"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert codes
    assert not [code for code in codes if code not in table]


def test_alarms_when_made_then_the_runbook_has_a_section() -> None:
    headings = re.findall(r"^### (.+)$", page("runbook.md"), re.MULTILINE)
    written = {name.strip() for heading in headings for name in heading.split(",")}
    made = set(alarms())
    assert len(made) > len(FUNCTIONS), "found no alarms: has infra/watch.py changed its shape?"
    assert made == written


def test_settings_when_read_then_explained() -> None:
    text = page("settings.md")
    missing = [name for name in Settings.model_fields if f"`EVERREEL_{name.upper()}`" not in text]
    assert not missing


def test_parameters_when_read_then_explained() -> None:
    text = page("deploying.md")
    assert not [key for key in KEYS if f"`{key}`" not in text]


def test_events_when_published_then_explained() -> None:
    table = rows(page("architecture.md"))
    assert not [kind.value for kind in Happening if kind.value not in table]


def test_statuses_and_reasons_when_told_then_explained() -> None:
    table = rows(page("architecture.md"))
    for status in Status:
        assert table[str(status.value)][0] == status.name.lower().replace("_", " ")
    assert not [reason.value for reason in Reason if reason.value not in table]


def test_causes_when_written_down_then_explained() -> None:
    assert not [cause.value for cause in Cause if f"`{cause.value}`" not in page("time.md")]


def test_tolerances_when_documented_then_with_their_values() -> None:
    table = rows(page("time.md"))
    names = [name for name in vars(tolerances) if name.isupper()]
    for name in names:
        value = getattr(tolerances, name)
        if name.endswith("_PPM"):
            shown = str(value)
        elif name.endswith("_BYTES"):
            shown = f"{value // 1024**2} MiB"
        else:
            shown = f"{value // 1000} ms" if value % 1000 == 0 else f"{value} µs"
        assert name in table, f"docs/time.md does not explain {name}"
        assert table[name][0] == shown, f"docs/time.md has another {name}"


def test_schedule_of_looks_when_documented_then_as_the_code_has_it() -> None:
    moments = [sum(CONFIRM_S[: n + 1]) for n in range(len(CONFIRM_S))]
    shown = rows(page("architecture.md"))["confirming the start"][0]
    assert shown.startswith(", ".join(map(str, moments)) + " s")


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_when_followed_then_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in LINK.findall(FENCE.sub("", text)):
        if EXTERNAL.match(link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), f"{relative(path)}: {link}"
        if anchor and target.suffix == ".md":
            known = anchors(target.read_text(encoding="utf-8"))
            assert anchor in known, f"{relative(path)}: {link}; there are {sorted(known)}"


def test_make_commands_when_shown_then_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = [(name, re.match(r"make ([a-z]+)", line)) for name, line in commands()]
    unknown = [(name, found[1]) for name, found in shown if found and found[1] not in targets]
    assert any(found for _, found in shown)
    assert not unknown


def test_modules_when_shown_to_be_run_then_exist() -> None:
    for name, line in commands():
        for module in re.findall(r"python3? -m ((?:infra|layers|tests)[\w.]*)", line):
            place = ROOT.joinpath(*module.split("."))
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), (
                f"{name}: {line}"
            )


def test_decisions_when_recorded_then_listed_and_whole() -> None:
    overview = page("adr/README.md")
    for path in sorted((DOCS / "adr").glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        assert f"]({path.name})" in overview, f"docs/adr/README.md does not list {path.name}"
        assert text.startswith(f"# {path.name[:4]} "), path.name
        for part in ("Context", "Decision", "Consequences", "What would change our mind"):
            assert f"**{part}.**" in text, f"{path.name} lacks {part}"
