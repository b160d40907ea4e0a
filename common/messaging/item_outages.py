"""Distinguishes one item that keeps raising `Unavailable` from a dependency that is down.

A pause ends when every probe succeeds. If the same item then causes the next pause, and the next, the probes and the
item disagree. After `MAX_PAUSES` of its own the item is at fault. If other items fail in the same way and none
succeeds, the probe may be wrong (it reads, and the disk is full): then only after `MAX_SHARED_PAUSES`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

MAX_PAUSES = 5
MAX_SHARED_PAUSES = 120
MAX_ITEMS = 1_000


@dataclass(slots=True)
class _Streak:
    """`successes` and `outages` of the consumer when the item last failed."""

    pauses: int = 0
    own_pauses: int = 0
    successes: int = 0
    outages: int = 0


class ItemOutages:
    """Thread-safe. Tracks the last `MAX_ITEMS` items that raised `Unavailable`."""

    def __init__(self) -> None:
        self._streaks: dict[str, _Streak] = {}
        self._successes = self._outages = 0
        self._lock = threading.Lock()

    def record_end(self, event_id: str, *, success: bool) -> None:
        """The item ended without an outage."""
        with self._lock:
            self._successes += success
            self._streaks.pop(event_id, None)

    def is_at_fault(self, event_id: str) -> bool:
        """Record that the item raised `Unavailable`; returns whether it did so too often."""
        with self._lock:
            streak = self._streaks.pop(event_id, None) or _Streak(outages=self._outages)
            others_succeed, others_fail = self._successes > streak.successes, self._outages > streak.outages
            self._outages += 1
            streak.pauses += 1
            streak.own_pauses += others_succeed or not others_fail
            streak.successes, streak.outages = self._successes, self._outages
            self._remember(event_id, streak)
            return streak.own_pauses > MAX_PAUSES or streak.pauses > MAX_SHARED_PAUSES

    def _remember(self, event_id: str, streak: _Streak) -> None:
        self._streaks[event_id] = streak
        if len(self._streaks) > MAX_ITEMS:
            del self._streaks[next(iter(self._streaks))]
