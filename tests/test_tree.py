"""Rules that linters cannot express: a test for each module, sizes, names, and tables that close their file."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "services", "workers", "holdfast", "infrastructure", "chaos_tests", "benchmarks", "tests")
# What has tests, in a directory `tests` of the same package.
TESTED = (
    "common",
    *(
        str(path.relative_to(ROOT))
        for package in ("common", "services", "workers")
        for path in (ROOT / package).glob("*")
    ),
)
# Wiring, tried by starting the process: in the stack's tests and end to end.
UNTESTED = frozenset({"__init__", "main"})
# What the outside meets through its neighbour is tried through it.
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


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports, modules and what it takes from them alike."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_there_is_a_tree() -> None:
    assert len(EVERY) > 100
    assert len(MODULES) > 50


@cache
def tried_by_any_test() -> tuple[set[str], str]:
    """What all test files import, and all that they say."""
    tests = [path for path in EVERY if is_test(path) and path != Path(__file__)]
    return set().union(*map(imported, tests)), "".join(path.read_text(encoding="utf-8") for path in tests)


@pytest.mark.parametrize("module", MODULES, ids=named)
def test_each_module_is_tried(module: Path) -> None:
    """A test beside it is called after it; or one anywhere imports it, or names its file as what it tries."""
    dotted = ".".join(module.relative_to(ROOT).with_suffix("").parts)
    names = (f"test_{module.stem}", *TRIED_THROUGH.get(module.stem, ()))
    beside = any(test.stem.startswith(names) for test in (module.parent / "tests").glob("*.py"))
    imports, text = tried_by_any_test()
    assert beside or dotted in imports or f"`{module.name}`" in text, f"no test of {dotted}"


@pytest.mark.parametrize("path", EVERY, ids=named)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (TEST_LINES if is_test(path) else MODULE_LINES)
    long = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    }
    assert long == {}


def test_a_name_says_what_is_in_it() -> None:
    assert [named(path) for path in EVERY if NO_NAMES & {path.stem, *path.relative_to(ROOT).parts}] == []


@pytest.mark.parametrize(("file", "table"), TABLES.items())
def test_the_table_closes_its_file(file: str, table: str) -> None:
    found = sorted((ROOT / "workers").glob(f"*/{file}"))
    assert found
    for path in found:
        last = ast.parse(path.read_text(encoding="utf-8")).body[-1]
        assert isinstance(last, ast.Assign), f"{named(path)} ends in something else than {table}"
        assert [ast.unparse(target) for target in last.targets] == [table]


def test_only_the_settings_read_the_environment() -> None:
    # A crash point is no setting: it is read where it strikes, and in a test build only.
    allowed = {"common/environment.py", "common/resilience/crash_points.py"}
    readers = {
        named(path)
        for path in python_files("common", "services", "workers")
        if not is_test(path) and ("os.environ" in (text := path.read_text(encoding="utf-8")) or "getenv" in text)
    }
    assert readers == allowed
