"""Metrics of refunds that wait for an operator, read from the database on requests for /metrics.

At most every few seconds; every instance exposes the same values. While the database is down they keep their last
values.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from common.errors import Unavailable, classify
from common.storage.postgresql import autocommit
from services.payments import ledger

if TYPE_CHECKING:
    from sqlalchemy import Engine

KEPT_SECONDS = 5.0
OPEN_CASES = Gauge(
    "holdfast_standing_cases", "Refunds of cancelled orders that the provider refuses, and that wait for an operator"
)
OLDEST = Gauge("holdfast_standing_case_oldest_seconds", "Waiting time of the oldest of them; 0: there is none")


class OpenCaseGauges:
    """Sets the gauges from the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._due = 0.0

    def refresh(self) -> None:
        """Read them again if due. A caller does not wait for a concurrent read."""
        if time.monotonic() < self._due or not self._lock.acquire(blocking=False):
            return
        try:
            self._due = time.monotonic() + KEPT_SECONDS
            with autocommit(self._engine) as connection:
                count, seconds = ledger.count_open_cases(connection)
            OPEN_CASES.set(count)
            OLDEST.set(seconds)
        except Exception as error:
            if classify(error) is not Unavailable:
                raise
        finally:
            self._lock.release()
