"""Metrics of the operations store: dead letters that wait for a decision, and the result of the last audit.

`common.web.stored_metrics` reads them from MongoDB, with a short time-out, so they are right also after a restart.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pymongo
from prometheus_client import Counter, Gauge

from common.messaging.topology import is_events_queue
from services.operations import audits, groups
from services.operations.domain import REASONS

if TYPE_CHECKING:
    from typing import Any

    from pymongo.database import Database

    from common.storage.mongodb import Store
    from services.operations.domain import Death

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


def show(store: Store) -> None:
    """Set the gauges from the store."""
    with store.use() as database, pymongo.timeout(READ_SECONDS):
        _show(database)


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
