"""The gauges of one outbox: events waiting to be published and events set aside, current also between two measurements.

The relay measures about once a second. The oldest event stays the oldest until it is confirmed, so in between its age
grows with the clock: a slow, frozen or unavailable broker is visible at once, not only when a wait times out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from common.messaging.outbox_rows import COUNTED_ROWS

if TYPE_CHECKING:
    from common.messaging.outbox_rows import OutboxRows

MEASURE_SECONDS = 1.0
LAG_SECONDS = Gauge("holdfast_outbox_oldest_seconds", "Age of the oldest event not yet published", ["database"])
LAG_ROWS = Gauge("holdfast_outbox_rows", f"Events not yet published, up to {COUNTED_ROWS}", ["database"])
SET_ASIDE_SECONDS = Gauge("holdfast_outbox_set_aside_seconds", "Age of the oldest event set aside", ["database"])
SET_ASIDE_ROWS = Gauge(
    "holdfast_outbox_set_aside_rows",
    f"Events set aside as unroutable, up to {COUNTED_ROWS}",
    ["database"],
)


class OutboxLag:
    """The state of one outbox. Every number is at most a second old while the database answers.

    While `is_active` is false the age does not grow in between, since another relay publishes all the time.
    """

    def __init__(self, database: str, rows: OutboxRows) -> None:
        self._rows = rows
        self._due_at = 0.0
        self._count = 0
        self.is_active = True
        self._waiting, self._oldest = LAG_ROWS.labels(database), _Age()
        self._set_aside, self._oldest_set_aside = SET_ASIDE_ROWS.labels(database), _Age()
        LAG_SECONDS.labels(database).set_function(lambda: self._oldest.seconds(grows=self.is_active))
        SET_ASIDE_SECONDS.labels(database).set_function(lambda: self._oldest_set_aside.seconds(grows=True))

    def measure(self) -> None:
        """Query the database if a measurement is due. Raises as the database does."""
        if time.monotonic() < self._due_at:
            return
        found = self._rows.measure()
        self._due_at = time.monotonic() + MEASURE_SECONDS
        self._count = found.rows
        self._show(found.rows, found.seconds)
        self._set_aside.set(found.set_aside_rows)
        self._oldest_set_aside.is_now(found.set_aside_seconds)

    def fetched(self, rows: int, oldest_seconds: float, *, is_all: bool) -> None:
        """Record the oldest rows, which are all waiting rows if `is_all`."""
        self._show(rows if is_all else max(rows, self._count), oldest_seconds)

    def _show(self, rows: int, oldest_seconds: float) -> None:
        self._count = rows
        self._waiting.set(rows)
        self._oldest.is_now(oldest_seconds)


class _Age:
    """An age that grows with the monotonic clock; 0 means no event, and stays 0."""

    def __init__(self) -> None:
        self._known = (0.0, 0.0)  # together, since another thread reads them

    def is_now(self, seconds: float) -> None:
        self._known = (seconds, time.monotonic())

    def seconds(self, *, grows: bool) -> float:
        seconds, known_at = self._known
        return seconds + time.monotonic() - known_at if seconds and grows else seconds
