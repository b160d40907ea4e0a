"""Folders to start processes by hand, and the shared servers like `holdfast up --servers-only` starts them."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from holdfast.cli import main
from infrastructure.local.env_files import FOLDERS
from infrastructure.local.ports import is_free
from infrastructure.local.stack import Stack
from tests.by_hand.starting import PROCESSES, Started, holdfast, start
from tests.test_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrastructure.local.sharing import Servers


@pytest.fixture(scope="module")
def home(servers: Servers) -> Path:
    """The home of a stack that the command has started with only the servers."""
    assert servers
    chosen = Path(os.environ.get("HOLDFAST_TEST_HOME") or ROOT / ".holdfast-test").absolute()
    up = holdfast("up", "--servers-only", "--home", str(chosen))
    assert "holdfast env orders --write" in up, up
    if not is_free(Stack(chosen).home.port("service-orders")):
        pytest.skip("the services of this stack run already")
    return chosen


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Every folder with a main.py, without .env files: those of this checkout belong to the user."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("tests", "__pycache__", ".env"))
    return tmp_path


@pytest.fixture
def by_hand(tree: Path) -> Iterator[Callable[..., Started]]:
    """Start `python main.py` in a folder, with these variables in its environment. It ends with the test."""
    with ExitStack() as running:
        yield lambda folder, **variables: running.enter_context(start(tree / folder, **variables))


@pytest.fixture
def all_by_hand(home: Path, tree: Path, by_hand: Callable[..., Started]) -> dict[str, Started]:
    """Every service and worker, started at once and ready."""
    for folder, name in PROCESSES.items():
        # In this process: seventeen processes of the command would take as long as the started ones.
        printed = CliRunner().invoke(main, ["env", name, "--home", str(home)], catch_exceptions=False)
        assert printed.exit_code == 0, printed.output
        (tree / folder / ".env").write_text(printed.stdout)
    started = {folder: by_hand(folder) for folder in PROCESSES}
    ports = Stack(home).home
    for folder, process in started.items():
        process.wait_until_ready(folder, ports)
    return started
