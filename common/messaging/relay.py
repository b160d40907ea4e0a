"""The outbox relay: publish with confirms, then delete.

One active relay per database, by a lease; a standby takes over by itself. Events go out in the order of their
positions, a batch at a time; a row is deleted only when the broker has confirmed its message, so a relay that is killed
at any moment publishes some events twice and loses none (the consumers' inboxes drop the second). While the broker is
away rows wait.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import text

from common.errors import Unavailable, classify
from common.messaging.confirms import Message
from common.messaging.event_spans import record_published
from common.messaging.events import CONTENT_TYPE
from common.resilience.crash_points import crash_point
from common.storage.leases import Lease
from common.storage.postgresql import autocommit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event as Flag

    from sqlalchemy import Connection, Engine

    from common.messaging.publisher import ConfirmedPublisher
    from common.resilience.circuit_breaker import Breaker

TASK_NAME = "holdfast.handle"
BATCH_ROWS = 500
COUNTED_ROWS = 100_000
COUNT_SECONDS = 1.0
CONFIRM_SECONDS = 10.0
LEASE_SECONDS = 5.0
STANDBY_SECONDS = 0.5
OUTAGE_SECONDS = 1.0
UNROUTABLE_SECONDS = 0.5
IDLE_SECONDS = (0.005, 0.05)  # the poll interval of an idle relay grows between these

_FETCH = text("""
    SELECT position, event_id::text AS event_id, type, correlation_id, body,
           extract(epoch FROM clock_timestamp() - created_at) AS age_seconds
    FROM outbox WHERE position > :after ORDER BY position LIMIT :limit
""")
_AGE = text(f"""
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
    FROM (SELECT created_at FROM outbox ORDER BY position LIMIT {BATCH_ROWS}) AS oldest
""")  # noqa: S608 - a constant
_COUNT = text(f"SELECT count(*) FROM (SELECT FROM outbox LIMIT {COUNTED_ROWS}) AS waiting")  # noqa: S608 - a constant
_DELETE = text("DELETE FROM outbox WHERE position = ANY(:positions)")

PUBLISHED = Counter("holdfast_relay_published_total", "Events confirmed by the broker", ["database"])
LAG_SECONDS = Gauge("holdfast_outbox_oldest_seconds", "Age of the oldest event not yet published", ["database"])
LAG_ROWS = Gauge("holdfast_outbox_rows", f"Events not yet published, up to {COUNTED_ROWS}", ["database"])
ACTIVE = Gauge("holdfast_relay_active", "1 while this relay holds the database's lease", ["database"])
_log = structlog.get_logger(__name__)


class Relay:
    """Moves the outbox of one database to the broker.

    The relays of one process share `broker`: while it is away, one of them asks for it in a second, and not each.
    """

    def __init__(
        self, database: str, engine: Engine, publisher: ConfirmedPublisher, holder: str, *, broker: Breaker
    ) -> None:
        self._database, self._engine, self._publisher, self._broker = database, engine, publisher, broker
        self._lease = Lease(engine, "relay", holder, LEASE_SECONDS)
        self._active = ACTIVE.labels(database)
        self._after = self._counted = 0
        self._window = BATCH_ROWS
        self._count_due = 0.0

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
                if not self._publisher.is_connected:
                    self._measure()
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
        self._connect()
        held = self._lease.hold()
        self._active.set(int(held))
        if not held:
            self._show_lag(0, 0)  # the active relay knows better
            self._publisher.idle(STANDBY_SECONDS)
            return 0
        rows = self._fetch()
        if not rows:
            return 0
        crash_point("relay.fetched")
        started_ns = time.time_ns()
        confirmed = self._publish(rows)
        positions = [row.position for row in rows if row.event_id in confirmed]
        crash_point("relay.published")
        self._delete(positions)
        crash_point("relay.deleted")
        record_published((row for row in rows if row.event_id in confirmed), started_ns=started_ns)
        if len(positions) < len(rows):
            # What no queue takes stays; but a whole batch of it must not keep the rest from going.
            self._after = rows[-1].position
            self._publisher.idle(UNROUTABLE_SECONDS)
        return len(positions)

    def _publish(self, rows: Sequence[Any]) -> set[str]:
        """The ids that were confirmed.

        While one queue refuses, the others take every repetition: so a single event is tried at a time until one is
        confirmed (a window that closes at once and opens by doubling, as TCP's does, RFC 5681).
        """
        window, self._window = self._window, 1
        confirmed = self._publisher.publish([_message(row) for row in rows], timeout_seconds=CONFIRM_SECONDS)
        if len(confirmed) + len(self._publisher.returned) == len(rows):
            self._window = min(2 * window, BATCH_ROWS)
        return confirmed

    def _connect(self) -> None:
        if self._publisher.is_connected:
            self._publisher.connect()  # waits while the broker has an alarm
            return
        with self._broker.guard():
            self._publisher.connect()

    def _fetch(self) -> Sequence[Any]:
        with autocommit(self._engine) as connection:
            rows = connection.execute(_FETCH, {"after": self._after, "limit": self._window}).all()
            waiting = self._count(connection) if self._after or len(rows) == self._window else len(rows)
        if len(rows) < self._window and self._after:
            self._after = 0  # the end: from the start again
        self._show_lag(waiting, max((float(row.age_seconds) for row in rows), default=0))
        return rows

    def _delete(self, positions: list[int]) -> None:
        if positions:
            with autocommit(self._engine) as connection:
                connection.execute(_DELETE, {"positions": positions})
            PUBLISHED.labels(self._database).inc(len(positions))

    def _measure(self) -> None:
        """While nothing can be published the lag must be seen to grow."""
        with suppress(Exception), autocommit(self._engine) as connection:  # the database may be what is down
            self._show_lag(self._count(connection), float(connection.execute(_AGE).scalar_one()))

    def _count(self, connection: Connection) -> int:
        """How many rows there are, more than a batch of them: as of a second ago at most."""
        if time.monotonic() >= self._count_due:
            self._counted = int(connection.execute(_COUNT).scalar_one())
            self._count_due = time.monotonic() + COUNT_SECONDS
        return self._counted

    def _show_lag(self, rows: int, seconds: float) -> None:
        LAG_ROWS.labels(self._database).set(rows)
        LAG_SECONDS.labels(self._database).set(seconds)

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


def _message(row: Any) -> Message:
    return Message(
        id=row.event_id,
        routing_key=row.type,
        body=row.body.encode(),
        content_type=CONTENT_TYPE,
        headers=headers(event_id=row.event_id, event_type=row.type, correlation_id=row.correlation_id),
    )
