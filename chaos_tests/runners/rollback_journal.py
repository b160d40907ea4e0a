"""The rollback journal: what is broken now, on disk, so that it can be restored also after the death of the run.

Guarantee: an entry has reached the disk before the thing is broken; it is removed when the thing is restored. An entry
names the function that restores (`module:function`) and its arguments; restoring twice harms nothing. One process at a
time breaks things in one home.
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

ROOM, OF_THE_RUN = "chaos_tests.actions.", "of_the_run"


class BusyError(Exception):
    """Somebody else is at it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How one thing is restored; `memory` is what restoring it needs to know."""

    restore: str
    arguments: dict[str, Any]
    memory: dict[str, Any] = field(default_factory=dict)


class RollbackJournal:
    """The list at `path`; there is none when nothing is broken."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who breaks or heals here. Raises `BusyError`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.stem}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise BusyError("another run breaks this system; it restores what it broke when it ends") from error
            yield

    def entries(self) -> list[Entry]:
        """Everything that is broken, in the order in which it was. Raises `ValueError` for a damaged list."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [Entry(**each) for each in json.loads(text)]

    def add(self, restore: Callable[..., Any], arguments: dict[str, Any], **memory: Any) -> None:
        """Write down what is about to be broken, in place of what was there for the same."""
        entry = Entry(f"{restore.__module__}:{restore.__name__}", arguments, memory)
        with self._lock:
            self._write([each for each in self.entries() if not _same(each, entry)] + [entry])

    def memory(self, restore: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
        """What was remembered with the entry; nothing if there is none."""
        wanted = Entry(f"{restore.__module__}:{restore.__name__}", arguments)
        return next((each.memory for each in self.entries() if _same(each, wanted)), {})

    def remove(self, restore: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Take the entry off the list."""
        done = Entry(f"{restore.__module__}:{restore.__name__}", arguments)
        with self._lock:
            self._write([each for each in self.entries() if not _same(each, done)])

    def heal(self, configuration: dict[str, Any], *, and_the_run: bool = True) -> tuple[list[str], list[str]]:
        """Restore everything, the last first; answers what was restored and what could not be. What could not stays.

        Without `and_the_run` what belongs to the run, and not to one of its faults, is left alone.
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
    if not module.startswith(ROOM):
        message = f"{name} restores nothing"
        raise ValueError(message)
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
