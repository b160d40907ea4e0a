"""The inbox: each event takes effect once per consumer.

`(consumer, event id)` is inserted in the transaction of the effect, so both commit or neither does. A concurrent second
delivery waits for the first on the unique key and then is a duplicate. The inbox is pruned after a while, so handlers
also check the state.
Pattern: https://microservices.io/patterns/communication-style/idempotent-consumer.html
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from common.resilience.crash_points import crash_point
from common.storage.postgresql import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from common.messaging.events import Event, MessageContext

SCHEMA_V1 = """
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, event_id)
)
"""
INDEX_V1 = "CREATE INDEX inbox_received_at ON inbox USING brin (received_at)"
# Pruning leaves space that new rows fill, so a block range contains rows of all ages and BRIN excludes none.
INDEXES_V2 = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS inbox_by_time ON inbox (received_at)",
    "DROP INDEX CONCURRENTLY IF EXISTS inbox_received_at",
)

_INSERT = text("INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :event_id) ON CONFLICT DO NOTHING")
_INSERT_MANY = text("""
    INSERT INTO inbox (consumer, event_id) SELECT :consumer, unnest(CAST(:event_ids AS uuid[]))
    ON CONFLICT DO NOTHING RETURNING event_id::text
""")


class AlreadyHandled(Exception):
    """This consumer has already handled the event."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event to one consumer, in the span `traceparent` if that is recorded."""

    consumer: str
    event: Event
    traceparent: str | None = None

    @property
    def message_context(self) -> MessageContext:
        """The message context of the events that this delivery causes."""
        message_context = self.event.message_context
        return replace(message_context, traceparent=self.traceparent) if self.traceparent else message_context


class Batch:
    """A transaction that several deliveries to one consumer share: all of them take effect, or none does.

    Inbox rows go in sorted by event id, so two batches with the same events cannot deadlock.
    """

    def __init__(self, connection: Connection, deliveries: Sequence[Delivery]) -> None:
        self._connection = connection
        self._after_commit: list[Callable[[], object]] = []
        event_ids = sorted({delivery.event.id for delivery in deliveries})
        values = {"consumer": deliveries[0].consumer, "event_ids": event_ids}
        self._new: set[str] = set(connection.execute(_INSERT_MANY, values).scalars())

    def is_new(self, delivery: Delivery) -> bool:
        """Whether `delivery` has not taken effect yet."""
        return delivery.event.id in self._new

    @contextmanager
    def join(self, delivery: Delivery) -> Iterator[Connection]:
        """Like `once`. If an event is in a batch twice, the second is a duplicate."""
        if not self.is_new(delivery):
            raise AlreadyHandled
        self._new.remove(delivery.event.id)
        crash_point("batch.joined")
        yield self._connection

    def after_commit(self, act: Callable[[], object]) -> None:
        self._after_commit.append(act)

    def committed(self) -> None:
        """Its transaction is committed."""
        for act in self._after_commit:
            act()


# What an event's use case works on, the same for a single event and in a batch.
Work = Engine | Batch


@contextmanager
def once(work: Work, delivery: Delivery) -> Iterator[Connection]:
    """A transaction that takes effect once per consumer and event. Raises `AlreadyHandled` for a duplicate.

    In a batch the block joins the batch's transaction, which is committed later.
    """
    if isinstance(work, Batch):
        with work.join(delivery) as connection:
            yield connection
        return
    with transaction(work) as connection:
        values = {"consumer": delivery.consumer, "event_id": delivery.event.id}
        if connection.execute(_INSERT, values).rowcount == 0:
            raise AlreadyHandled
        crash_point("inbox.inserted")
        yield connection
        crash_point("inbox.committing")


def after_commit(work: Work, act: Callable[[], object]) -> None:
    """Call it after the block of `once`: `act` is called when the block's transaction is committed."""
    if isinstance(work, Batch):
        work.after_commit(act)
    else:
        act()
