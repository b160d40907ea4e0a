"""The outbox relay: publish with confirms, then delete.

One active relay per database, by a lease; a standby takes over by itself. Events go out in the order of their
positions, a batch at a time; a row is deleted only when the broker has confirmed its message, so a relay that is killed
at any moment publishes some events twice and loses none (the consumers' inboxes drop the second). While the broker is
away rows wait.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import text

from common.database import autocommit
from common.errors import Unavailable, classify
from common.events import CONTENT_TYPE
from common.leases import Lease
from common.publisher import ConfirmedPublisher, Message

if TYPE_CHECKING:
    from threading import Event as Flag

    from sqlalchemy import Engine

TASK_NAME = "holdfast.handle"
BATCH_ROWS = 500
CONFIRM_SECONDS = 10.0
LEASE_SECONDS = 5.0
STANDBY_SECONDS = 0.5
OUTAGE_SECONDS = 0.5
IDLE_SECONDS = (0.005, 0.05)  # the poll interval of an idle relay grows between these

_FETCH = text(f"""
    SELECT position, event_id::text AS event_id, type, correlation_id, body,
           extract(epoch FROM clock_timestamp() - created_at) AS age_seconds
    FROM outbox ORDER BY position LIMIT {BATCH_ROWS}
""")  # noqa: S608 - a constant
_DELETE = text("DELETE FROM outbox WHERE position = ANY(:positions)")

PUBLISHED = Counter("holdfast_relay_published_total", "Events confirmed by the broker", ["database"])
LAG_SECONDS = Gauge("holdfast_outbox_oldest_seconds", "Age of the oldest event not yet published", ["database"])
LAG_ROWS = Gauge("holdfast_outbox_rows", f"Events not yet published, up to {BATCH_ROWS}", ["database"])
ACTIVE = Gauge("holdfast_relay_active", "1 while this relay holds the database's lease", ["database"])
_log = structlog.get_logger(__name__)


class Relay:
    """Moves the outbox of one database to the broker."""

    def __init__(self, database: str, engine: Engine, publisher: ConfirmedPublisher, holder: str) -> None:
        self._database, self._engine, self._publisher = database, engine, publisher
        self._lease = Lease(engine, "relay", holder, LEASE_SECONDS)
        self._active = ACTIVE.labels(database)

    def run(self, stop: Flag) -> None:
        """Work until `stop` is set. Outages are waited out."""
        log, idle, outage = _log.bind(database=self._database), IDLE_SECONDS[0], False
        while not stop.is_set():
            try:
                published = self.step()
            except Exception as error:
                known = classify(error) is Unavailable
                if not outage or not known:
                    log.warning("relay is held up", error=repr(error), exc_info=not known)
                outage = True
                self._active.set(0)
                stop.wait(OUTAGE_SECONDS)
                continue
            if outage:
                log.info("relay works again")
            outage = False
            idle = IDLE_SECONDS[0] if published else min(idle * 2, IDLE_SECONDS[1])
            if not published:
                self._publisher.idle(idle)
        self._stand_down()

    def step(self) -> int:
        """One batch, if the lease is ours: answers how many events were published. Raises as broker and database do."""
        # The broker first: a relay that cannot publish must leave the lease to one that can.
        self._publisher.connect()
        held = self._lease.hold()
        self._active.set(int(held))
        if not held:
            self._publisher.idle(STANDBY_SECONDS)
            return 0
        with autocommit(self._engine) as connection:
            rows = connection.execute(_FETCH).all()
        LAG_ROWS.labels(self._database).set(len(rows))
        LAG_SECONDS.labels(self._database).set(max((float(row.age_seconds) for row in rows), default=0))
        if not rows:
            return 0
        confirmed = self._publisher.publish([_message(row) for row in rows], timeout_seconds=CONFIRM_SECONDS)
        positions = [row.position for row in rows if row.event_id in confirmed]
        with autocommit(self._engine) as connection:
            connection.execute(_DELETE, {"positions": positions})
        PUBLISHED.labels(self._database).inc(len(positions))
        if len(positions) < len(rows):
            _log.error("events were not taken", database=self._database, count=len(rows) - len(positions))
            time.sleep(OUTAGE_SECONDS)
        return len(positions)

    def _stand_down(self) -> None:
        try:
            self._lease.release()
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself
            _log.info("could not release the lease", database=self._database, error=repr(error))
        self._publisher.close()


def headers(*, event_id: str, event_type: str, correlation_id: str) -> dict[str, str]:
    """What makes a CloudEvents message a Celery message too; `shadow` is the name that Flower shows."""
    return {
        "lang": "py",
        "task": TASK_NAME,
        "id": event_id,
        "root_id": correlation_id,
        "shadow": event_type,
        "argsrepr": f"({event_type} {event_id})",
        "kwargsrepr": "{}",
    }


def _message(row: object) -> Message:
    event_id, event_type = row.event_id, row.type  # type: ignore[attr-defined]  # a SQLAlchemy row
    return Message(
        id=event_id,
        routing_key=event_type,
        body=row.body.encode(),  # type: ignore[attr-defined]
        content_type=CONTENT_TYPE,
        headers=headers(event_id=event_id, event_type=event_type, correlation_id=row.correlation_id),  # type: ignore[attr-defined]
    )
