"""What goes into an image of everything, and into one of a single context."""

import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.docker.select_source import select
from infrastructure.docker.write_dockerfiles import contexts

ROOT = Path(__file__).parents[3]


def modules(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*.py")}


@pytest.mark.slow
@pytest.mark.parametrize("context", contexts())
def test_one_context_has_its_own_code_and_no_others(context: str, tmp_path: Path) -> None:
    select(ROOT, tmp_path / "app", context)
    found = modules(tmp_path / "app")
    assert {f"services/{context}/main.py", "common/messaging/consumer.py", "infrastructure/docker/health.py"} <= found
    assert {Path(name).parts[1] for name in found if name.startswith(("services/", "workers/"))} <= {
        context,
        "__init__.py",
    }
    assert not [name for name in found if "tests" in Path(name).parts]
    assert not list((tmp_path / "app").rglob("Dockerfile"))
    # It is whole: everything that a process of it imports is there.
    started = [name for name in (f"services/{context}/main.py", f"workers/{context}/main.py") if name in found]
    imports = ", ".join(
        ["common.storage.migrations", *(name.removesuffix(".py").replace("/", ".") for name in started)]
    )
    answer = subprocess.run(
        [sys.executable, "-B", "-c", f"import {imports}"], cwd=tmp_path / "app", check=False, capture_output=True
    )
    assert answer.returncode == 0, answer.stderr.decode()


def test_everything_is_everything_but_tests(tmp_path: Path) -> None:
    select(ROOT, tmp_path / "app", "")
    found = modules(tmp_path / "app")
    assert {"services/payments/main.py", "workers/scheduler/main.py", "infrastructure/flower/main.py"} <= found
    assert not [name for name in found if "tests" in Path(name).parts]


def test_an_unknown_context_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there are archive, "):
        select(ROOT, tmp_path / "app", "nonsense")
