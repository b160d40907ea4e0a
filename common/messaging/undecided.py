"""The items that wait for an external decision: their number in this process, and the age of the oldest.

A process sees an item only when it is delivered. One that has not returned after its delay (and a margin) was decided,
dead-lettered, or delivered to another instance: the maximum over all instances is the true age, late by at most the
item's delay.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ITEMS = 10_000
MARGIN_SECONDS = 60.0
ITEMS = Gauge("holdfast_undecided_items", f"Items that wait for a decision, up to {MAX_ITEMS}", ["consumer"])
OLDEST = Gauge("holdfast_undecided_oldest_seconds", "Waiting time of the oldest item", ["consumer"])


@dataclass(frozen=True, slots=True)
class _Item:
    waited_seconds: float
    delay_seconds: float
    parked_at: float


class UndecidedItems:
    """Thread-safe. Ages are waiting times in delay queues, without outages and clock changes."""

    def __init__(self, context: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._items: dict[str, _Item] = {}
        self._lock = threading.Lock()
        ITEMS.labels(context).set_function(lambda: float(len(self._known_ages())))
        OLDEST.labels(context).set_function(self._oldest_seconds)

    def record(self, event_id: str, *, waited_seconds: float, delay_seconds: float) -> None:
        """The item was parked for `delay_seconds`."""
        with self._lock:
            if len(self._items) >= MAX_ITEMS:
                self._drop_lost()
            if event_id in self._items or len(self._items) < MAX_ITEMS:
                self._items[event_id] = _Item(waited_seconds, delay_seconds, self._clock())

    def forget(self, event_id: str) -> None:
        """It is decided."""
        with self._lock:
            self._items.pop(event_id, None)

    def _oldest_seconds(self) -> float:
        return max(self._known_ages(), default=0.0)

    def _known_ages(self) -> list[float]:
        with self._lock:
            self._drop_lost()
            return [item.waited_seconds + self._clock() - item.parked_at for item in self._items.values()]

    def _drop_lost(self) -> None:
        now = self._clock()
        late = [
            event_id
            for event_id, item in self._items.items()
            if now - item.parked_at > item.delay_seconds + MARGIN_SECONDS
        ]
        for event_id in late:
            del self._items[event_id]
