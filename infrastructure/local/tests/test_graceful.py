"""SIGTERM stops a program gracefully that expects SIGQUIT."""

import os
import signal
import subprocess
import sys
import time

import pytest

from infrastructure.local import proctable

PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGQUIT, lambda *_: sys.exit(7))
print(os.getpid(), flush=True)
while True:
    signal.pause()
"""


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infrastructure.local.graceful", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_every_termination_signal_stops_the_program_gracefully(number: signal.Signals) -> None:
    with start(sys.executable, "-c", PROGRAM) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=60) == 7


def test_the_exit_code_is_the_programs() -> None:
    with start("/bin/sh", "-c", "exit 3") as process:
        assert process.wait(timeout=60) == 3
    with start("/bin/sh", "-c", "kill -9 $$") as process:
        assert process.wait(timeout=60) == 128 + 9


def test_the_program_ends_with_its_wrapper() -> None:
    with start(sys.executable, "-c", PROGRAM) as process:
        assert process.stdout is not None
        program = proctable.lookup(int(process.stdout.readline()))
        assert proctable.alive(program)
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while proctable.alive(program):
        assert time.monotonic() < deadline
        time.sleep(0.05)
