"""Rules that linters cannot express: a test for each module, sizes, names, and tables that close their file."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "services", "workers", "holdfast", "infrastructure", "chaos_tests", "benchmarks", "tests")
# Packages with tests in their directories `tests`.
TESTED = (
    "common",
    *(
        str(path.relative_to(ROOT))
        for package in ("common", "services", "workers")
        for path in (ROOT / package).glob("*")
    ),
)
# Wiring, tested by starting the process: in the stack's tests and end to end.
UNTESTED = frozenset({"__init__", "main"})
# Modules that are tested through a neighbour.
TRIED_THROUGH = {"schemas": ("test_api", "test_consumers"), "models": ("test_usecases", "test_api")}
FUNCTION_LINES = 60
MODULE_LINES = 250
TEST_LINES = 350  # test files are often tables
TABLES = {"consumers.py": "HANDLERS", "sweeps.py": "SWEEPS"}
NO_NAMES = frozenset({"utils", "util", "helpers", "helper", "misc", "tools"})


def python_files(*packages: str) -> Iterator[Path]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts):
                yield path


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_test(path: Path) -> bool:
    return "tests" in path.relative_to(ROOT).parts or path.name == "conftest.py"


EVERY = list(python_files(*PACKAGES))
MODULES = [
    path
    for package in TESTED
    for path in sorted((ROOT / package).glob("*.py"))
    if path.stem not in UNTESTED and not path.stem.startswith("__") and not is_test(path)
]


@cache
def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def tree(path: Path) -> ast.Module:
    return ast.parse(source(path))


@cache
def imported(path: Path) -> set[str]:
    """The dotted names that a file imports: modules, and names in them."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_source_files_are_found() -> None:
    assert len(EVERY) > 100
    assert len(MODULES) > 50


def is_tried(module: Path) -> bool:
    """Whether a test file has its name, or any test imports it or names its file."""
    names = (f"test_{module.stem}", *TRIED_THROUGH.get(module.stem, ()))
    if any(test.stem.startswith(names) for test in (module.parent / "tests").glob("*.py")):
        return True
    dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts)
    return any(
        f"`{module.name}`" in source(test) or (module.stem in source(test) and dotted in imported(test))
        for test in EVERY
        if is_test(test) and test != Path(__file__)
    )


def test_each_module_has_a_test() -> None:
    assert [named(module) for module in MODULES if not is_tried(module)] == []


def test_files_are_short() -> None:
    lines = {
        named(path): (len(source(path).splitlines()), TEST_LINES if is_test(path) else MODULE_LINES) for path in EVERY
    }
    assert {name: number for name, (number, limit) in lines.items() if number > limit} == {}


def test_functions_are_short() -> None:
    assert [
        f"{named(path)}: {node.name}"
        for path in EVERY
        if len(source(path).splitlines()) > FUNCTION_LINES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ] == []


def test_no_file_has_a_generic_name() -> None:
    assert [named(path) for path in EVERY if NO_NAMES & {path.stem, *path.relative_to(ROOT).parts}] == []


@pytest.mark.parametrize(("file", "table"), TABLES.items())
def test_tables_are_at_the_end_of_their_files(file: str, table: str) -> None:
    found = sorted((ROOT / "workers").glob(f"*/{file}"))
    assert found
    for path in found:
        last = tree(path).body[-1]
        assert isinstance(last, ast.Assign), f"{named(path)} ends in something else than {table}"
        assert [ast.unparse(target) for target in last.targets] == [table]


def test_only_settings_read_the_environment() -> None:
    # A crash point is no setting: only a test build reads it.
    allowed = {"common/environment.py", "common/resilience/crash_points.py"}
    readers = {
        named(path)
        for path in python_files("common", "services", "workers")
        if not is_test(path) and ("os.environ" in (text := source(path)) or "getenv" in text)
    }
    assert readers == allowed
