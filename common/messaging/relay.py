"""The outbox relay: publish with confirms, then delete.

One active relay per database, by a lease that is renewed while the broker is slow; a standby takes over by itself.
Events go out in the order of their positions, a batch at a time; a row is deleted only when the broker has confirmed
its message, and what was not confirmed goes first on the next turn. So a relay that is killed at any moment, or loses
its connection, publishes some events twice (the consumers' inboxes drop the second), loses none, and lets none overtake
another. While the broker is away rows wait.

Only what the broker returns, because no queue takes it, is set aside by a mark on its row, and holds up nobody. Of each
type that is set aside one row is tried again now and then; when a queue takes it, all of its type are put back.
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
LOOK_SECONDS = 1.0  # an event whose notification was lost waits that long; a standby asks for the lease as often

PUBLISHED = Counter("holdfast_relay_published_total", "Events confirmed by the broker", ["database"])
ACTIVE = Gauge("holdfast_relay_active", "1 while this relay holds the database's lease", ["database"])
_log = structlog.get_logger(__name__)


class Relay:
    """Moves the outbox of one database to the broker.

    `engine` must have one connection and no other user: on it the relay listens for what wakes it.
    The relays of one process share `broker`: while it is away, one of them asks for it in a second, and not each.
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
        self._is_publishing = False
        publisher.meanwhile = self._meanwhile
        self._window = BATCH_ROWS
        self._retry_at = 0.0

    def run(self, stop: Flag) -> None:
        """Work until `stop` is set. Outages are waited out."""
        log, outage = _log.bind(database=self._database), False
        while not stop.is_set():
            try:
                more = self.step()
            except Exception as error:
                known = classify(error) is Unavailable
                if not outage or not known:
                    log.warning("relay is held up", error=repr(error), exc_info=not known)
                outage = True
                self._stand_by()
                stop.wait(OUTAGE_SECONDS)
                continue
            if outage:
                log.info("relay works again")
            outage = False
            if not more and not self._wakeups.take():
                self._publisher.idle(LOOK_SECONDS, until_readable=self._wakeups.socket)
        self._stand_down()

    def step(self) -> bool:
        """One batch, if the lease is ours; return whether more may wait. Raises as broker and database do."""
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
        self._wakeups.take()  # what is written from here on wakes it again
        return self._retry_set_aside() or self._publish_oldest()

    def _publish_oldest(self) -> bool:
        rows = self._rows.fetch(self._window)
        self._lag.fetched(
            len(rows), max((float(row.age_seconds) for row in rows), default=0), is_all=len(rows) < self._window
        )
        if not rows:
            return False
        # A single event is tried at a time until one is confirmed, since while one queue refuses, the others take every
        # repetition (a window that closes at once and opens by doubling, as TCP's does, RFC 5681).
        window, self._window = self._window, 1
        confirmed, returned = self._publish(rows)
        self._rows.set_aside([row.position for row in rows if row.event_id in returned])
        if len(confirmed) + len(returned) == len(rows):
            self._window = min(2 * window, BATCH_ROWS)
            return len(rows) == window  # what came after the look has sent a notification
        if not confirmed:
            self._publisher.idle(REFUSED_SECONDS)
        return True

    def _retry_set_aside(self) -> bool:
        """Of each type that is set aside try the oldest, every few seconds; if a queue takes it, put its type back."""
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
            _log.info("queues take these events again", database=self._database, types=sorted(types), restored=restored)
        return bool(confirmed)

    def _publish(self, rows: Sequence[Any]) -> tuple[set[str], set[str]]:
        """Publish these and delete what was confirmed; return the ids of that, and of what no queue takes."""
        crash_point("relay.fetched")
        if not self._lease.hold():  # a slow database may have taken the time that was left
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

    def _meanwhile(self) -> None:
        """While the broker is waited for: the lag must be seen to grow, and no standby must publish the same."""
        with suppress(Exception):  # the database may be away; the broker is waited for all the same
            if self._is_publishing:
                self._lease.hold()
            self._lag.measure()

    def _stand_by(self) -> None:
        self._active.set(0)
        self._lag.is_active = True  # nobody else may be able to publish either
        self._meanwhile()
        self._wakeups.take()  # or they would pile up for as long as it lasts; afterwards it looks anyway
        if not self._publisher.is_connected:
            with suppress(Exception):  # it runs out by itself
                self._lease.release()  # to a relay that can publish

    def _stand_down(self) -> None:
        self._active.set(0)
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
