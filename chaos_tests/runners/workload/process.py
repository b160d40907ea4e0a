"""The workload as a separate process: started, watched, stopped; it always ends its history."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from chaos_tests.runners.history import read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

READY_SECONDS, END_SECONDS = 120.0, 120.0


@dataclass
class Workload:
    """`with Workload(history, arguments=["--home", ".holdfast", "--seed", "7"]): break something`.

    `arguments` are those of `python -m chaos_tests.runners.workload`, but for --history.
    """

    history: Path
    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the first order was accepted. Raises `RuntimeError`."""
        command = [sys.executable, "-m", "chaos_tests.runners.workload", "--history", str(self.history)]
        environment = {**os.environ, **self.environment}
        with self.history.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.arguments], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_under_way():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                message = f"the workload did not begin: {self.history.with_suffix('.log').read_text()[-500:]}"
                raise RuntimeError(message)
            time.sleep(0.1)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """Wait until it has ended, at most that long; returns its exit code, None if it still runs."""
        if self._process is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def stop(self) -> None:
        """Stop it and wait for its end; kill it after a time-out."""
        if self._process is None:
            return
        self._process.terminate()
        if self.wait(END_SECONDS) is None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_under_way(self) -> bool:
        """Whether an order was accepted; the history is still short, so little is read."""
        return self.history.exists() and any(
            record["kind"] == "op" and record["type"] == "ok" and record["f"] == "place"
            for record in read(self.history)
        )
