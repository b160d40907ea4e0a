"""Metrics of the operations store: dead letters that wait for a decision, and the result of the last audit.

They are read from MongoDB on requests for /metrics, at most every few seconds and with a short time-out, so every
instance exposes the same values, also after a restart. While MongoDB is down they keep their last values.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pymongo
from prometheus_client import Counter, Gauge

from common.errors import Unavailable, classify
from common.messaging.topology import is_events_queue
from services.operations import audits, groups
from services.operations.domain import REASONS

if TYPE_CHECKING:
    from typing import Any

    from pymongo.database import Database

    from common.storage.mongodb import Store
    from services.operations.domain import Death

KEPT_SECONDS = 5.0
READ_SECONDS = 1.0
FILED = Counter("holdfast_dead_letters_filed", "Dead letters stored, by queue and reason", ["queue", "reason"])
WAITING = Gauge("holdfast_dead_letters_waiting", "Dead letters that wait for a decision", ["queue"])
AUDITED = Gauge("holdfast_audit_last_timestamp_seconds", "Time of the last reported audit; 0: never")
BROKEN = Gauge("holdfast_audit_broken_promises", "How often the last audit found a promise broken", ["promise"])
OTHER = "other"
MAX_QUEUES = 50
_known_queues: set[str] = set()


def count_filed(death: Death) -> None:
    """Any publisher may have set queue and reason: only known values become labels."""
    FILED.labels(_queue(death.queue), death.reason if death.reason in REASONS else OTHER).inc()


class Figures:
    """Sets the gauges from the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._due = 0.0

    def refresh(self) -> None:
        """Read them again if due; a caller does not wait for a concurrent read."""
        if time.monotonic() < self._due or not self._lock.acquire(blocking=False):
            return
        try:
            self._due = time.monotonic() + KEPT_SECONDS
            with self._store.use() as database, pymongo.timeout(READ_SECONDS):
                _show(database)
        except Exception as error:
            if classify(error) is not Unavailable:
                raise
        finally:
            self._lock.release()


def _show(database: Database[dict[str, Any]]) -> None:
    waiting: dict[str, int] = {}
    for queue, count in groups.waiting(database).items():
        waiting[_queue(queue)] = waiting.get(_queue(queue), 0) + count
    audit = audits.last(database)
    WAITING.clear()
    for queue, count in waiting.items():
        WAITING.labels(queue).set(count)
    BROKEN.clear()
    for each in audit["promises"] if audit else ():
        BROKEN.labels(each["promise"]).set(each["broken"])
    AUDITED.set(datetime.fromisoformat(audit["at"]).timestamp() if audit else 0)


def _queue(name: str) -> str:
    if is_events_queue(name) and len(_known_queues) < MAX_QUEUES:
        _known_queues.add(name)
    return name if name in _known_queues else OTHER
