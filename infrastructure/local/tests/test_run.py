"""The wrapper between the supervisor and a process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infrastructure.local import proctable
from infrastructure.local.home import REPOSITORY, Home, open_home
from infrastructure.local.run import quick_ends
from infrastructure.local.spec import Spec, write_specs

PRINT = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "a home with % and spaces", 9000)


def run(home: Home, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infrastructure.local.run", str(home.run), name]
    environment = {**os.environ, "LEAKED": "from the caller"}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=60
    )


def test_the_process_gets_exactly_its_arguments_and_variables(home: Home) -> None:
    words = [sys.executable, "-c", PRINT, "100%", 'a "b" $HOME', "", "ü\n"]
    write_specs(home, [Spec("p", words, {"ONLY": "this % one"}, directory=str(home.path))])
    arguments, environment, directory = json.loads(run(home, "p").stdout)
    assert arguments == words[3:]
    assert environment.pop("ONLY") == "this % one"
    assert environment.keys() <= {"LC_CTYPE"}  # set by Python itself
    assert directory == str(home.path)


def test_a_process_that_keeps_failing_is_restarted_with_a_delay(home: Home) -> None:
    write_specs(home, [Spec("p", ["/bin/false"], {})])
    assert quick_ends(home.run, "p") == 0
    run(home, "p")
    assert quick_ends(home.run, "p") == 0
    run(home, "p")
    assert quick_ends(home.run, "p") == 1
    run(home, "p")
    began = time.monotonic()
    run(home, "p")
    assert quick_ends(home.run, "p") == 3
    assert 1.5 <= time.monotonic() - began < 60


def test_remaining_processes_of_a_killed_predecessor_are_stopped_first(home: Home) -> None:
    # The dead predecessor was a shell whose child keeps running, in the session of this test.
    script = 'sh -c "sleep 60 & echo \\$!; kill -9 \\$\\$" | head -1'
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, process_group=0) as shell:
        assert shell.stdout is not None
        child = int(shell.stdout.readline())
    found = proctable.lookup(child)
    assert found is not None
    record = {"pid": shell.pid, "start_ticks": 1, "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
    proctable.program_record(home.run, "p").write_text(json.dumps(record))
    write_specs(home, [Spec("p", ["/bin/true"], {})])
    try:
        assert run(home, "p").returncode == 0
        assert not proctable.alive(found)
    finally:
        if proctable.alive(found):
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("content", ["1", "999999999", "rubbish", ""])
def test_a_stale_pid_file_is_removed(home: Home, content: str) -> None:
    file = home.path / "postmaster.pid"
    file.write_text(content)
    write_specs(home, [Spec("p", ["/bin/sleep", "0"], {}, stale_files=[str(file)])])
    run(home, "p")
    assert not file.exists()


def test_the_pid_file_of_a_running_predecessor_is_kept(home: Home) -> None:
    file = home.path / "postmaster.pid"
    with subprocess.Popen(["/bin/sleep", "60"]) as living:
        file.write_text(f"{living.pid}\n/some/where\n")
        write_specs(home, [Spec("p", ["/bin/sleep", "0"], {}, stale_files=[str(file)])])
        run(home, "p")
        living.kill()
    assert file.exists()
