"""The outbox relay: publish with confirms, then delete.

One relay per database is active, by a lease that is renewed while the broker is slow; a standby takes over
automatically. Events are published in the order of their positions, one batch at a time; a row is deleted only after
the broker has confirmed its message, and unconfirmed rows come first in the next batch. So a relay that is killed at
any moment, or loses its connection, publishes some events twice (the consumers' inboxes drop duplicates), loses none,
and never reorders them. While the broker is down rows wait.

Only unroutable events, which the broker returns, are marked as set aside, so that they block no others. One row of each
such type is retried periodically; when it is routed, all rows of its type are restored.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter, Gauge

from common.errors import Unavailable, classify
from common.messaging.confirms import Message
from common.messaging.event_spans import record_published
from common.messaging.events import CONTENT_TYPE
from common.messaging.outbox_lag import OutboxLag
from common.messaging.outbox_rows import OutboxRows
from common.messaging.relay_wakeup import Listener
from common.resilience.crash_points import crash_point
from common.storage.leases import Lease

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event as Flag

    from sqlalchemy import Engine

    from common.messaging.publisher import ConfirmedPublisher
    from common.resilience.circuit_breaker import Breaker

TASK_NAME = "holdfast.handle"
BATCH_ROWS = 500
CONFIRM_SECONDS = 10.0
LEASE_SECONDS = 5.0
OUTAGE_SECONDS = 1.0
REFUSED_SECONDS = 0.5
RETRY_SET_ASIDE_SECONDS = 5.0
POLL_SECONDS = 1.0  # between polls without a notification; a standby tries the lease as often

PUBLISHED = Counter("holdfast_relay_published_total", "Events confirmed by the broker", ["database"])
ACTIVE = Gauge("holdfast_relay_active", "1 while this relay holds the database's lease", ["database"])
_log = structlog.get_logger(__name__)


class Relay:
    """Moves the outbox of one database to the broker.

    `engine` must have one connection and no other user: on it the relay listens for notifications.
    The relays of one process share the circuit breaker `broker`: while it is down, one of them tries it per second.
    """

    def __init__(
        self,
        database: str,
        engine: Engine,
        publisher: ConfirmedPublisher,
        holder: str,
        *,
        broker: Breaker,
        lease_seconds: float = LEASE_SECONDS,
        confirm_seconds: float = CONFIRM_SECONDS,
    ) -> None:
        self._database, self._publisher, self._broker = database, publisher, broker
        self._rows = OutboxRows(engine)
        self._lag = OutboxLag(database, self._rows)
        self._lease = Lease(engine, "relay", holder, lease_seconds)
        self._wakeups = Listener(engine)
        self._confirm_seconds = confirm_seconds
        self._active = ACTIVE.labels(database)
        self._is_publishing = self._is_refused = False
        publisher.while_waiting = self._while_waiting
        self._window = BATCH_ROWS
        self._retry_at = 0.0

    def run(self, stop: Flag) -> None:
        """Run until `stop` is set. Waits out outages."""
        log, outage = _log.bind(database=self._database), False
        while not stop.is_set():
            try:
                more = self.step()
            except Exception as error:
                known = classify(error) is Unavailable
                if not outage or not known:
                    log.warning("the relay cannot publish", error=repr(error), exc_info=not known)
                outage = True
                self._be_standby()
                stop.wait(OUTAGE_SECONDS)
                continue
            if outage:
                log.info("the relay resumed")
            outage = False
            if not more and not self._wakeups.take():
                self._publisher.idle(POLL_SECONDS, until_readable=self._wakeups.socket)
        self._resign()

    def step(self) -> bool:
        """Publish one batch if this relay holds the lease; returns whether more may wait. Raises errors of broker and
        database.
        """
        # The broker first: a relay that cannot publish must leave the lease to one that can.
        if not self._publisher.is_connected:
            with self._broker.guard():
                self._publisher.connect()
        held = self._lease.hold()
        self._active.set(int(held))
        self._lag.is_active = held
        self._lag.measure()
        if not held:
            self._wakeups.stop()
            return False
        self._wakeups.listen()
        self._wakeups.take()  # later commits wake it again
        return self._retry_set_aside() or self._publish_oldest()

    def _publish_oldest(self) -> bool:
        rows = self._rows.fetch(self._window)
        self._lag.fetched(
            len(rows), max((float(row.age_seconds) for row in rows), default=0), is_all=len(rows) < self._window
        )
        if not rows:
            return False
        # One event is tried at a time until one is confirmed: while one queue refuses, the others receive every
        # duplicate (like TCP's congestion window, RFC 5681, it shrinks at once and doubles on success).
        window, self._window = self._window, 1
        confirmed, returned = self._publish(rows)
        self._rows.set_aside([row.position for row in rows if row.event_id in returned])
        self._log_refusal(rows[0], is_refused=not confirmed and not returned and self._lease.hold())
        if len(confirmed) + len(returned) == len(rows):
            self._window = min(2 * window, BATCH_ROWS)
            return len(rows) == window  # events committed after the poll have sent a notification
        if not confirmed:
            self._publisher.idle(REFUSED_SECONDS)
        return True

    def _log_refusal(self, oldest: Any, *, is_refused: bool) -> None:
        """Once per refusal: a queue of this type is full, or not available."""
        if is_refused and not self._is_refused:
            _log.warning("the broker refuses events", database=self._database, type=oldest.type)
        self._is_refused = is_refused

    def _retry_set_aside(self) -> bool:
        """Every few seconds retry the oldest event of each type that is set aside; if it is routed, restore its
        type.
        """
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + RETRY_SET_ASIDE_SECONDS
        rows = self._rows.sample_set_aside()
        if not rows:
            return False
        confirmed, _returned = self._publish(rows)
        types = {row.type for row in rows if row.event_id in confirmed}
        if types:
            restored = self._rows.restore(types, self._lease.hold)
            _log.info("events are routable again", database=self._database, types=sorted(types), restored=restored)
        return bool(confirmed)

    def _publish(self, rows: Sequence[Any]) -> tuple[set[str], set[str]]:
        """Publish these and delete the confirmed ones; returns the confirmed and the unroutable ids."""
        crash_point("relay.fetched")
        if not self._lease.hold():  # a slow database may have used up the rest of the lease
            return set(), set()
        started_ns = time.time_ns()
        self._is_publishing = True
        try:
            confirmed = self._publisher.publish([_message(row) for row in rows], timeout_seconds=self._confirm_seconds)
        finally:
            self._is_publishing = False
        crash_point("relay.published")
        done = [row for row in rows if row.event_id in confirmed]
        self._rows.delete([row.position for row in done])
        PUBLISHED.labels(self._database).inc(len(done))
        crash_point("relay.deleted")
        record_published(done, started_ns=started_ns)
        return confirmed, self._publisher.returned

    def _while_waiting(self) -> None:
        """During a wait for the broker: update the lag, and renew the lease so that no standby publishes the same
        rows.
        """
        with suppress(Exception):  # the database may be down; the wait for the broker continues
            if self._is_publishing:
                self._lease.hold()
            self._lag.measure()

    def _be_standby(self) -> None:
        self._active.set(0)
        self._lag.is_active = True  # a standby may not be able to publish either
        self._while_waiting()
        self._wakeups.take()  # otherwise notifications would pile up; after the wait the relay polls anyway
        if not self._publisher.is_connected:
            with suppress(Exception):  # it expires
                self._lease.release()  # to a relay that can publish

    def _resign(self) -> None:
        self._active.set(0)
        try:
            self._lease.release()
        except Exception as error:  # noqa: BLE001 - the lease expires
            _log.info("could not release the lease", database=self._database, error=repr(error))
        self._publisher.close()


def headers(*, event_id: str, event_type: str, correlation_id: str) -> dict[str, str]:
    """Headers that make a CloudEvents message a Celery message too; Flower shows the name `shadow`."""
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
