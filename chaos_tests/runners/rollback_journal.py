"""The rollback journal: the active faults, on disk, so that they can be removed also after the death of the run.

Guarantee: an entry is on disk before its fault is injected; it is removed after the restoration. An entry names the
restoring function (`module:function`) and its arguments; restoration is idempotent. One process at a time injects
faults in one home.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACTIONS, OF_THE_RUN = "chaos_tests.actions.", "of_the_run"


class BusyError(Exception):
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How to restore one fault; `memory` is the data that the restoration needs."""

    restore: str
    arguments: dict[str, Any]
    memory: dict[str, Any] = field(default_factory=dict)


class RollbackJournal:
    """The journal at `path`; the file is missing while there are no faults."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock for injection and restoration. Raises `BusyError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.stem}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise BusyError("another run breaks this system; it restores what it broke when it ends") from error
            yield

    def entries(self) -> list[Entry]:
        """All active faults, in the order of injection. Raises `ValueError` for a damaged journal."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [Entry(**each) for each in json.loads(text)]

    def add(self, restore: Callable[..., Any], arguments: dict[str, Any], **memory: Any) -> None:
        """Record a fault before its injection, replacing an entry for the same."""
        entry = Entry(f"{restore.__module__}:{restore.__name__}", arguments, memory)
        with self._lock:
            self._write([each for each in self.entries() if not _same(each, entry)] + [entry])

    def memory(self, restore: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
        """The memory of the entry; empty if there is none."""
        expected = Entry(f"{restore.__module__}:{restore.__name__}", arguments)
        return next((each.memory for each in self.entries() if _same(each, expected)), {})

    def remove(self, restore: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Remove the entry."""
        done = Entry(f"{restore.__module__}:{restore.__name__}", arguments)
        with self._lock:
            self._write([each for each in self.entries() if not _same(each, done)])

    def restore_all(self, configuration: dict[str, Any], *, and_the_run: bool = True) -> tuple[list[str], list[str]]:
        """Restore everything, last first; returns the restored and the failed entries. Failed ones stay.

        Without `and_the_run` entries of the run itself, not of its faults, are kept.
        """
        restored: list[str] = []
        failed: list[str] = []
        for entry in reversed([each for each in self.entries() if and_the_run or not each.memory.get(OF_THE_RUN)]):
            reported = f"{entry.restore.rpartition(':')[2]} {' '.join(map(str, entry.arguments.values()))}".strip()
            try:
                _restoration(entry.restore)(**entry.arguments, configuration=configuration)
                restored.append(reported)
            except Exception as error:  # noqa: BLE001 - the others are to be restored too
                failed.append(f"{reported}: {error!r}")
        return restored, failed

    def _write(self, entries: list[Entry]) -> None:
        if not entries:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump([asdict(entry) for entry in entries], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path)


def _same(one: Entry, other: Entry) -> bool:
    return (one.restore, one.arguments) == (other.restore, other.arguments)


def _restoration(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    if not module.startswith(ACTIONS):
        message = f"{name} restores nothing"
        raise ValueError(message)
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
