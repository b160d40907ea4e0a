"""Merges concurrent writes of several threads into one.

Guarantee: `add` returns after the write that contains its item, or raises the error of that write. One write is in
flight at a time; items added during it form the next one. Nothing waits for a group to fill.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    is_done: bool = False
    error: Exception | None = None


class GroupedWrites(Generic[T]):
    """Thread-safe. `write` gets the items of one group, in the order in which they came."""

    def __init__(self, write: Callable[[list[T]], None]) -> None:
        self._write = write
        self._writing = threading.Lock()
        self._waiting: deque[_Entry[T]] = deque()

    def add(self, item: T) -> None:
        entry = _Entry(item)
        self._waiting.append(entry)
        with self._writing:
            if not entry.is_done:  # else the previous thread has written it with its own item
                self._write_waiting()
        if entry.error is not None:
            raise entry.error

    def _write_waiting(self) -> None:
        group = []
        while self._waiting:  # only the thread with the lock takes any out
            group.append(self._waiting.popleft())
        error: Exception | None = None
        try:
            self._write([entry.item for entry in group])
        except Exception as raised:  # noqa: BLE001 - each thread of the group raises it
            error = raised
        for entry in group:
            entry.error, entry.is_done = error, True
