"""The source files of the whole image, and of a single context's."""

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
def test_the_source_of_a_context_has_no_code_of_others(context: str, tmp_path: Path) -> None:
    select(ROOT, tmp_path / "app", context)
    found = modules(tmp_path / "app")
    assert {f"services/{context}/main.py", "common/messaging/consumer.py", "infrastructure/docker/health.py"} <= found
    assert {Path(name).parts[1] for name in found if name.startswith(("services/", "workers/"))} <= {
        context,
        "__init__.py",
    }
    assert not [name for name in found if "tests" in Path(name).parts]
    assert not list((tmp_path / "app").rglob("Dockerfile"))
    # It is complete: everything that its processes import is included.
    started = [name for name in (f"services/{context}/main.py", f"workers/{context}/main.py") if name in found]
    imports = ", ".join(
        ["common.storage.migrations", *(name.removesuffix(".py").replace("/", ".") for name in started)]
    )
    answer = subprocess.run(
        [sys.executable, "-B", "-c", f"import {imports}"], cwd=tmp_path / "app", check=False, capture_output=True
    )
    assert answer.returncode == 0, answer.stderr.decode()


def test_the_whole_source_excludes_only_tests(tmp_path: Path) -> None:
    select(ROOT, tmp_path / "app", "")
    found = modules(tmp_path / "app")
    assert {"services/payments/main.py", "workers/scheduler/main.py", "infrastructure/flower/main.py"} <= found
    assert not [name for name in found if "tests" in Path(name).parts]


def test_an_unknown_context_fails_the_build(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there are archive, "):
        select(ROOT, tmp_path / "app", "nonsense")
