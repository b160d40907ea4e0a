"""Starts commands as a user types them: `python main.py` in a folder, and holdfast."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.local.env_files import FOLDERS, name_of
from infrastructure.local.readiness import probe_http, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.local.home import Home

SECONDS = 240.0  # seventeen processes may start at once
TOPOLOGY = "workers/topology"
# The topology job exits.
PROCESSES = {folder: name_of(folder) for folder in FOLDERS if folder != TOPOLOGY}


def holdfast(*words: str) -> str:
    """Run the command; return its output."""
    command = [str(Path(sys.executable).with_name("holdfast")), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Started:
    """A process started in a terminal."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process, self._output = process, output

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def ends(self) -> tuple[int, str]:
        """Its exit code and output after it has exited. One that does not exit dumps its threads."""
        try:
            return self.process.wait(SECONDS), self.output()
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER
            self.process.wait(SECONDS)
            raise AssertionError(f"it did not end: {self.output()}") from None

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait_until_ready(self, folder: str, home: Home) -> None:
        parent, _, name = folder.partition("/")
        known = {"relay": "relay-1", "scheduler": "scheduler", "bridge": "bridge"}
        port = home.port(known.get(name) or f"{parent.removesuffix('s')}-{name}")
        path = "/readyz" if parent == "services" else "/metrics"
        wait_for(lambda: self._probe(port, path), SECONDS, folder)

    def _probe(self, port: int, path: str) -> None:
        assert self.process.poll() is None, self.output()
        probe_http(port, path)


@contextmanager
def start(folder: Path, **variables: str) -> Iterator[Started]:
    """`cd folder && python main.py`, in an environment with nothing but PATH and these variables."""
    output = folder / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            # The test runner may ignore SIGINT, like background jobs of a shell, and children inherit that.
            ["env", "--default-signal=INT", sys.executable, "main.py"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONFAULTHANDLER": "1", **variables},
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Started(process, output)
    finally:
        process.kill()
        process.wait(SECONDS)
