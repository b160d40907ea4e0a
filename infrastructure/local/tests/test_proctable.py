"""Only processes that a crash leaves running are found."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infrastructure.local import proctable
from infrastructure.local.home import Home, open_home

# A session leader with a child in its own group, like the supervisor; both end after a minute.
LEADER = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"], process_group=0)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home", 9000)


@pytest.fixture
def leader() -> Iterator[tuple[subprocess.Popen[str], int]]:
    with subprocess.Popen(
        [sys.executable, "-c", LEADER], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        yield process, child
        for pid in (process.pid, child):
            if proctable.lookup(pid):
                os.kill(pid, signal.SIGKILL)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_running_supervisor_and_its_children_are_found(home: Home, leader: tuple[subprocess.Popen[str], int]) -> None:
    process, child = leader
    assert proctable.stack_processes(home) == []
    proctable.record(proctable.supervisor_record(home), process.pid)
    assert {found.pid for found in proctable.stack_processes(home)} == {process.pid, child}


def test_the_recorded_children_of_a_dead_supervisor_are_found_and_ended(
    home: Home, leader: tuple[subprocess.Popen[str], int]
) -> None:
    process, child = leader
    proctable.record(proctable.supervisor_record(home), process.pid)
    proctable.record(proctable.program_record(home.run, "sleep"), child)
    process.kill()
    process.wait()
    assert [found.pid for found in proctable.stack_processes(home)] == [child]
    proctable.end(proctable.stack_processes(home), grace_seconds=5)
    assert proctable.stack_processes(home) == []


def test_a_foreign_process_with_the_same_session_number_is_not_changed(
    home: Home, leader: tuple[subprocess.Popen[str], int]
) -> None:
    process, child = leader
    proctable.record(proctable.supervisor_record(home), process.pid)
    process.kill()
    process.wait()
    assert proctable.lookup(child)
    assert proctable.stack_processes(home) == []


def test_a_reused_pid_is_not_the_recorded_process(home: Home) -> None:
    path = proctable.supervisor_record(home)
    proctable.record(path, os.getpid())
    assert proctable.alive(proctable.recorded(path))
    path.write_text(path.read_text().replace('"start_ticks": ', '"start_ticks": 9'))
    assert not proctable.alive(proctable.recorded(path))


def test_a_record_of_another_boot_is_ignored(home: Home) -> None:
    path = proctable.supervisor_record(home)
    proctable.record(path, os.getpid())
    found = proctable.recorded(path)
    assert found is not None
    path.write_text(path.read_text().replace(found.boot, "another"))
    assert proctable.recorded(path) is None
    assert proctable.stack_processes(home) == []


def test_a_port_mapper_that_the_broker_started_automatically_is_found(home: Home, tmp_path: Path) -> None:
    program = tmp_path / "epmd"
    shutil.copy("/bin/sleep", program)
    ours = {"HOME": str(home.data("rabbitmq"))}
    with (
        subprocess.Popen([program, "60"], env=ours, start_new_session=True) as mapper,
        subprocess.Popen([program, "60"], env={"HOME": "/elsewhere"}) as foreign,
    ):
        assert eventually(lambda: [found.pid for found in proctable.stack_processes(home)] == [mapper.pid])
        mapper.kill()
        foreign.kill()


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = proctable.lookup(process.pid)
        assert found is not None
        proctable.end([found], grace_seconds=0.2)
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert eventually(lambda: not proctable.alive(found))
