"""The driver interface of experiments, and the driver of a configuration."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infrastructure.processes import PROCESSES

if TYPE_CHECKING:
    from chaos_tests.runners.drivers.local import Local
    from chaos_tests.runners.rollback_journal import RollbackJournal
    from holdfast.target import Target

OURS = [line.name for line in PROCESSES if line.command and not line.is_job]


class UnsupportedError(Exception):
    """This driver does not support that. The experiment declares it in `requires`; it is reported as not run."""


class Driver(Protocol):
    """A running system whose processes have the names of the process table."""

    name: str
    journal: RollbackJournal

    def target(self) -> Target:
        """The addresses of the system."""

    def identity(self, process: str) -> str:
        """An identity that changes when the process is restarted; empty while it does not run."""

    def kill(self, process: str) -> None:
        """Kill it with signal 9."""

    def revive(self, process: str) -> None:
        """Make sure that a killed process restarts; no-op with a supervisor."""

    def pause(self, process: str) -> None:
        """Freeze it, with all its children."""

    def resume(self, process: str) -> None:
        """Resume it; no-op if it is not frozen."""

    def is_paused(self, process: str) -> bool: ...

    def stop(self, process: str) -> None:
        """Stop it gracefully; it stays stopped."""

    def start(self, process: str) -> None:
        """Start it unless it runs."""

    def roll(self, processes: list[str]) -> None:
        """Restart them one after the other, each ready before the next; all Holdfast processes if none is named."""


def driver_of(configuration: dict[str, Any]) -> Driver:
    """The driver that an experiment's configuration names."""
    if configuration.get("driver", "local") == "compose":
        return _compose(str(configuration.get("project") or "holdfast"))
    return local(configuration)


def local(configuration: dict[str, Any]) -> Local:
    """The local driver, for faults that only it supports. Raises `UnsupportedError`."""
    if configuration.get("driver", "local") != "local":
        raise UnsupportedError("only the local driver can do this")
    return _local(Path(str(configuration.get("home") or os.environ.get("HOLDFAST_HOME", ".holdfast"))).absolute())


@lru_cache(8)
def _local(home: Path) -> Local:
    from chaos_tests.runners.drivers.local import Local  # noqa: PLC0415 - a driver is imported only when it is used

    return Local(home)


@lru_cache(8)
def _compose(project: str) -> Driver:
    from chaos_tests.runners.drivers.compose import Compose  # noqa: PLC0415 - as above

    return Compose(project)
