"""What goes into an image of everything, and into one of a single context."""

import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.docker.select_source import select

ROOT = Path(__file__).parents[3]


def modules(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*.py")}


def test_one_context_has_its_own_code_and_no_others(tmp_path: Path) -> None:
    select(ROOT, tmp_path / "app", "orders")
    found = modules(tmp_path / "app")
    assert {"services/orders/main.py", "workers/orders/main.py", "common/messaging/consumer.py"} <= found
    assert "infrastructure/docker/health.py" in found
    assert not [name for name in found if "payments" in name or "tests" in Path(name).parts]
    # It is whole: everything that a process of it imports is there.
    for module in ("services.orders.main", "workers.orders.main", "common.storage.migrations"):
        answer = subprocess.run(
            [sys.executable, "-B", "-c", f"import {module}"], cwd=tmp_path / "app", check=False, capture_output=True
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
