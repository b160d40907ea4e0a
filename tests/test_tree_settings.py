"""Variables: what a context reads stands in its `.env.example`, and each process gets what it reads, and no more."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import pytest

from common.settings import HttpSettings, variables
from infrastructure.processes import PROCESSES, Process
from tests.test_tree import ROOT, is_test, python_files

CONTEXTS = sorted(path.parent.name for path in (ROOT / "services").glob("*/main.py"))
OURS = [line for line in PROCESSES if line.command]


def modules_of(context: str) -> Iterator[str]:
    """Every module of the context's service and worker, but for their tests."""
    for room in ("services", "workers"):
        for path in sorted((ROOT / room / context).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not {"tests", "versions", "env"} & set(parts):
                yield ".".join(part for part in parts if part != "__init__")


def settings_of(module: str) -> type[Any] | None:
    """The class `Settings` of the module, if it has one of its own."""
    found = getattr(import_module(module), "Settings", None)
    return found if isinstance(found, type) and is_dataclass(found) and found.__module__ == module else None


def started_module(line: Process) -> str:
    """The module with the settings of a line of the process table."""
    words = list(line.command)
    target = next((word for word in words if word.endswith(":create_app()")), None)
    if target:
        return target.partition(":")[0]
    module = words[words.index("-m") + 1]
    return f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module


def read_by(line: Process) -> tuple[set[str], set[str]]:
    """The variables that the process reads, and those of them that it cannot do without."""
    module = started_module(line)
    if module.startswith("infrastructure."):  # it reads its environment itself: it is no part of the system
        return _read_by_itself(module)
    settings = settings_of(module)
    assert settings is not None, f"{module} has no class Settings"
    needed = {item.metadata["name"] for item in fields(settings) if "default" not in item.metadata["options"]}
    return set(variables(settings)), needed


def _read_by_itself(module: str) -> tuple[set[str], set[str]]:
    own = (ROOT / module.replace(".", "/")).with_name("settings.py")
    shared = ROOT / "infrastructure" / "settings.py"
    calls = [
        node
        for path in (own, shared)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env.")
    ]
    known = {ast.literal_eval(call.args[0]) for call in calls}
    return known, {ast.literal_eval(call.args[0]) for call in calls if len(call.args) == 1}


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_example_has_every_variable_that_the_context_reads(context: str) -> None:
    read: set[str] = set()
    for module in modules_of(context):
        if settings := settings_of(module):
            read |= set(variables(settings))
    example = (ROOT / "services" / context / ".env.example").read_text(encoding="utf-8")
    shown = re.findall(r"^([A-Z][A-Z0-9_]*)=", example, re.MULTILINE)
    assert len(shown) == len(set(shown)), "a variable stands there twice"
    assert set(shown) - read == set(), "nobody reads these"
    assert read - set(shown) == set(), "these are missing"


@pytest.mark.parametrize("line", OURS, ids=lambda line: line.name)
def test_a_process_gets_only_what_it_reads_and_all_that_it_needs(line: Process) -> None:
    known, needed = read_by(line)
    given = set(line.environment)
    assert given - known == set(), "it reads none of these"
    assert needed - given == set(), "it cannot start without these"


@pytest.mark.parametrize("name", ["LOG_LEVEL", "RETRY_ATTEMPTS", "CIRCUIT_BREAKER_MAX_FAILURES"])
def test_what_people_adjust_reaches_every_process_that_reads_it(name: str) -> None:
    readers = [line for line in OURS if not line.is_job and name in read_by(line)[0]]
    assert readers
    assert [line.name for line in readers if name not in line.environment] == []


def test_a_breaker_follows_its_setting_or_says_why_not() -> None:
    modules = [path for path in python_files("common", "services", "workers") if not is_test(path)]
    text = "".join(path.read_text(encoding="utf-8") for path in modules)
    breakers = list(re.finditer(r"((?:^ *#.*\n)*)^.*\bBreaker\(.*max_failures=(.*)$", text, re.MULTILINE))
    assert len(breakers) >= 6
    for made in breakers:
        follows = made[2].startswith("settings.circuit_breaker_max_failures")
        assert follows or "Not CIRCUIT_BREAKER_MAX_FAILURES:" in made[1], made[0]


def test_the_server_reads_nothing_that_a_service_does_not() -> None:
    for context in CONTEXTS:
        settings = settings_of(f"services.{context}.main")
        assert settings is not None
        assert issubclass(settings, HttpSettings)
