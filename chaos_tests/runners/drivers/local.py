"""The local driver: a native stack on this machine, optionally with proxies between its processes and its servers."""

from __future__ import annotations

import signal
from pathlib import Path

from chaos_tests.runners.drivers.proxy_routes import ProxyRoutes
from chaos_tests.runners.process_tree import process_tree, signal_all
from chaos_tests.runners.rollback_journal import RollbackJournal
from holdfast.target import Target, target_of
from infrastructure.local.errors import StackError
from infrastructure.local.stack import Stack


class Local:
    """The stack of one home."""

    name = "local"

    def __init__(self, home: Path) -> None:
        self.stack = Stack(home)
        self.directory = home / "chaos"
        self.journal = RollbackJournal(self.directory / "broken.json")
        self.proxy_routes = ProxyRoutes(self.stack)

    def target(self) -> Target:
        return target_of(self.stack)

    def identity(self, process: str) -> str:
        pid = self.stack.pid(process)
        return f"process {pid}" if pid else ""

    def pids(self, process: str) -> list[int]:
        """The process and all below it. Raises `StackError` if it does not run."""
        found = process_tree(self.stack.pid(process))
        if not found:
            message = f"{process} does not run"
            raise StackError(message)
        return found

    def kill(self, process: str) -> None:
        self.stack.kill(process)

    def revive(self, process: str) -> None:
        """The supervisor does."""

    def pause(self, process: str) -> None:
        signal_all(self.pids(process), signal.SIGSTOP)

    def resume(self, process: str) -> None:
        signal_all(process_tree(self.stack.pid(process)), signal.SIGCONT)

    def is_paused(self, process: str) -> bool:
        return all(_state(pid) in "TtZX" for pid in self.pids(process))

    def stop(self, process: str) -> None:
        self.stack.stop(process)

    def start(self, process: str) -> None:
        self.stack.start(process)

    def roll(self, processes: list[str]) -> None:
        self.stack.restart(*processes)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return "X"
