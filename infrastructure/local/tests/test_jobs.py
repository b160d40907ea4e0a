"""One-shot jobs: one that fails is reported, one that is killed is run again."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from infrastructure.local.errors import NotReadyError
from infrastructure.local.home import Home, open_home
from infrastructure.local.jobs import run_jobs
from infrastructure.local.spec import Spec

if TYPE_CHECKING:
    from pathlib import Path

    from infrastructure.local.progress import Step

KILLED = """
import os, pathlib, signal, sys
runs = pathlib.Path(sys.argv[1])
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
print("run", len(runs.read_text()), flush=True)
if len(runs.read_text()) <= int(sys.argv[2]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home", 9000)


def job(code: str, *arguments: object) -> Spec:
    return Spec("job", [sys.executable, "-c", code, *map(str, arguments)], {})


def test_a_job_that_fails_is_reported_and_not_repeated(home: Home, tmp_path: Path) -> None:
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write('x'); sys.exit(3)"
    with pytest.raises(NotReadyError, match="exit code 3"):
        run_jobs(home, [job(code, tmp_path / "runs")], lambda _: None)
    assert (tmp_path / "runs").read_text() == "x"


def test_a_job_that_was_killed_is_run_again(home: Home, tmp_path: Path) -> None:
    steps: list[Step] = []
    run_jobs(home, [job(KILLED, tmp_path / "runs", 1)], steps.append)
    assert [step.state for step in steps] == ["starting", "starting", "ready"]
    assert home.log("job").read_text() == "run 1\nrun 2\n"


def test_a_job_that_is_killed_each_time_is_reported(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="exit code -9"):
        run_jobs(home, [job(KILLED, tmp_path / "runs", 99)], lambda _: None)
    assert (tmp_path / "runs").read_text() == "xxx"
