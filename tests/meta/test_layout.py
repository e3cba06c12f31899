"""The house's own rules, which no linter knows."""

import ast
import json
import re
import sys
from collections import Counter
from pathlib import Path

from tests.meta.repository import (
    LIBRARY,
    ROOT,
    handler_folders,
    modules_imported,
    names_used,
    python_files,
    relative,
    tracked,
)

LONGEST_FILE = 400
LONGEST_HANDLER = 60
READS_ENVIRONMENT = ("functions/everreel/settings.py", "functions/everreel/wiring.py")
# Spelled in parts, so that this file does not break its own rule.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry." + "npmjs",
    "npmjs" + ".org",
    "deb." + "debian",
    "pypi." + "python",
]
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:root|home/[a-z]+|Users/\w+|work|tmp/(?!\{))[/\"'\s]")
NOT_TEXT = {
    ".flv",
    ".jpg",
    ".m4s",
    ".mp4",
    ".png",
    ".ts",
    ".ico",
    ".woff2",
    ".bin",
    ".aac",
    ".h264",
}


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def texts() -> list[tuple[str, str]]:
    """Give every tracked text file with its content."""
    found = []
    for path in tracked():
        if path.suffix not in NOT_TEXT:
            try:
                found.append((relative(path), path.read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue
    return found


def test_product_files_when_counted_then_stay_short() -> None:
    long = {
        relative(path): lines_of(path)
        for path in python_files("functions", "infra", "layers")
        if lines_of(path) > LONGEST_FILE
    }
    assert not long, f"split these at a seam (at most {LONGEST_FILE} lines): {long}"


def test_handlers_when_counted_then_stay_thin() -> None:
    long = {
        relative(folder): lines_of(folder / "handler.py")
        for folder in handler_folders()
        if lines_of(folder / "handler.py") > LONGEST_HANDLER
    }
    assert not long, f"move the work into everreel (at most {LONGEST_HANDLER} lines): {long}"


def test_handlers_when_they_import_then_only_wiring_words_and_the_door() -> None:
    allowed = (
        "everreel.wiring",
        "everreel.contract",
        "everreel.http",
        "everreel.observe",
        "aws_lambda_powertools.utilities.typing",
    )
    foreign = {
        relative(folder): reached
        for folder in handler_folders()
        if (
            reached := sorted(
                name
                for name in modules_imported(folder / "handler.py")
                if name.split(".")[0] not in sys.stdlib_module_names
                and not any(name == known or name.startswith(known + ".") for known in allowed)
            )
        )
    }
    assert not foreign, f"a handler parses, calls once and dumps; the rest is wired: {foreign}"


def test_modules_when_parsed_then_say_what_they_are_for() -> None:
    silent = [
        relative(path)
        for path in python_files("functions", "infra", "layers")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent, f"a module starts with a docstring: {silent}"


def test_library_folders_when_they_hold_modules_then_are_packages() -> None:
    folders = {path.parent for path in python_files("functions") if LIBRARY in path.parents}
    missing = [
        relative(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()
    ]
    assert not missing, f"add an __init__.py with a docstring: {missing}"


def test_environment_when_read_by_the_library_then_only_in_settings_or_wiring() -> None:
    readers = [
        relative(path)
        for path in python_files("functions")
        if relative(path) not in READS_ENVIRONMENT
        and {"os.environ", "os.getenv"} & names_used(path)
    ]
    assert not readers, f"read the environment through everreel.settings: {readers}"


def test_texts_when_tracked_then_name_no_registry_host() -> None:
    named = [(name, host) for name, text in texts() for host in REGISTRY_HOSTS if host in text]
    assert not named, f"name packages, not the hosts they come from: {named}"


def test_texts_when_tracked_then_hold_no_path_of_one_machine() -> None:
    found = [
        (name, number, line.strip()[:80])
        for name, text in texts()
        if name != "tests/meta/test_layout.py"
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert not found, f"paths are relative to the repository or found at run time: {found}"


def test_lock_files_when_read_then_hold_pins_and_hashes_only() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, f"{relative(path)} holds an address; lock again"
        assert "--index" not in text, f"{relative(path)} names an index; lock again"
        pins = [line for line in text.splitlines() if line[:1].isalnum()]
        assert pins, f"{relative(path)} is empty"
        for pin in pins:
            assert re.match(r"[\w.\-]+(\[[\w,\-]+\])?==\S+", pin), f"{relative(path)}: {pin}"
        assert text.count("--hash=sha256:") >= len(pins), f"{relative(path)} lacks hashes"


def test_layer_locks_when_compared_then_pin_what_development_pins() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return {line.split(" ;")[0].rstrip(" \\") for line in text.splitlines() if "==" in line}

    for layer in ("layer-runtime.txt", "layer-media.txt"):
        assert pins(layer) <= pins("dev.txt"), f"{layer} differs from dev.txt: lock again"


def test_npm_lock_when_read_then_holds_no_address() -> None:
    lock = json.loads((ROOT / "tests" / "web" / "package-lock.json").read_text(encoding="utf-8"))
    resolved = [name for name, package in lock["packages"].items() if "resolved" in package]
    assert not resolved, "lock with omit-lockfile-registry-resolved=true"


def test_functions_when_in_the_tree_then_have_sample_events() -> None:
    samples = [relative(path) for path in (ROOT / "events").rglob("*.json")]
    bare = [
        folder.name
        for folder in handler_folders()
        if not any(re.match(rf"events/{folder.name}\b", sample) for sample in samples)
    ]
    assert not samples or not bare, f"add events/<function>/*.json, real events, for {bare}"


def test_samples_when_read_then_are_json() -> None:
    for path in sorted((ROOT / "events").rglob("*.json")):
        json.loads(path.read_text(encoding="utf-8"))


def test_decisions_when_listed_then_are_numbered_once_without_gaps() -> None:
    records = [
        path.name for path in (ROOT / "docs" / "adr").glob("*.md") if path.name != "README.md"
    ]
    numbers = [re.match(r"(\d{4})-[a-z0-9-]+\.md$", name) for name in sorted(records)]
    assert all(numbers), f"name decisions 0001-what-was-decided.md: {sorted(records)}"
    found = [int(number.group(1)) for number in numbers if number]
    assert not [number for number, times in Counter(found).items() if times > 1], found
    assert found == list(range(1, len(found) + 1)), f"numbers have a gap: {found}"


def test_words_when_files_are_named_then_say_what_is_inside() -> None:
    vague = {"utils", "helpers", "common", "manager", "misc", "util", "helper"}
    named = [
        relative(path)
        for path in python_files("functions", "infra", "layers", "tests")
        if vague & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}
    ]
    assert not named, f"name these for what they do: {named}"
