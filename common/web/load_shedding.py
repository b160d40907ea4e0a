"""Load shedding: new work is refused while what was accepted earlier does not get on.

The backlog is measured within a statement that a request makes anyway, at most once a second in each process; between
two measurements every request goes by the last one. So it costs next to nothing, and it is about a second behind.
It protects the store from growing without end; a dependency that is away for a sensible time is no reason to refuse.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter

from common.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

MEASURE_SECONDS = 1.0
SHED = Counter("holdfast_shed", "Requests refused because of a backlog", ["backlog"])


class OverloadedError(Unavailable):
    """Too much is waiting already; nothing of this request was done."""

    code = "overloaded"
    retry_after_seconds = 5


class Shedding:
    """`limits` are by the name of a backlog. Safe to share between threads."""

    def __init__(self, limits: Mapping[str, float], *, measure_seconds: float = MEASURE_SECONDS) -> None:
        self._limits = dict(limits)
        self._measure_seconds = measure_seconds
        self._lock = threading.Lock()
        self._due_at = 0.0
        self._excess: str | None = None

    def is_due(self) -> bool:
        """Whether the caller is to measure now; the next one is, a while later."""
        with self._lock:
            now = time.monotonic()
            if not self._limits or now < self._due_at:
                return False
            self._due_at = now + self._measure_seconds
            return True

    def observe(self, backlog: Mapping[str, float]) -> None:
        """Take note of what was measured."""
        self._excess = next((name for name, limit in self._limits.items() if backlog[name] > limit), None)

    def check(self) -> None:
        """Raise `OverloadedError` if the last measurement was above a limit."""
        excess = self._excess
        if excess is not None:
            SHED.labels(excess).inc()
            message = f"too far behind: {excess}"
            raise OverloadedError(message)


NEVER = Shedding({})
