"""What an experiment asks of whoever runs the system, and which driver a configuration names."""

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
    """This driver cannot do that. The experiment says so in `requires`; it is reported as not run."""


class Driver(Protocol):
    """A running system whose processes have the names of the process table."""

    name: str
    journal: RollbackJournal

    def target(self) -> Target:
        """Where it is, for whoever asks it something."""

    def identity(self, process: str) -> str:
        """What changes when the process is restarted; empty while it does not run."""

    def kill(self, process: str) -> None:
        """End it with signal 9."""

    def revive(self, process: str) -> None:
        """See to it that what was killed starts again; nothing if somebody does so anyway."""

    def pause(self, process: str) -> None:
        """Freeze it, with all its children."""

    def resume(self, process: str) -> None:
        """Let it go on; nothing if it is not frozen."""

    def is_paused(self, process: str) -> bool: ...

    def stop(self, process: str) -> None:
        """End it in good order; it stays so."""

    def start(self, process: str) -> None:
        """Start it unless it runs."""

    def roll(self, processes: list[str]) -> None:
        """Restart them one after the other, each ready before the next; all of ours if none is named."""


def driver_of(configuration: dict[str, Any]) -> Driver:
    """The driver that an experiment's configuration names."""
    if configuration.get("driver", "local") == "compose":
        return _compose(str(configuration.get("project") or "holdfast"))
    return local(configuration)


def local(configuration: dict[str, Any]) -> Local:
    """The local driver, for what only that can do. Raises `UnsupportedError`."""
    if configuration.get("driver", "local") != "local":
        raise UnsupportedError("only the local driver can do this")
    return _local(Path(str(configuration.get("home") or os.environ.get("HOLDFAST_HOME", ".holdfast"))).absolute())


@lru_cache(8)
def _local(home: Path) -> Local:
    from chaos_tests.runners.drivers.local import Local  # noqa: PLC0415 - each driver only where it is wanted

    return Local(home)


@lru_cache(8)
def _compose(project: str) -> Driver:
    from chaos_tests.runners.drivers.compose import Compose  # noqa: PLC0415 - as above

    return Compose(project)
