"""The inbox: each event takes effect once per consumer.

`(consumer, event id)` is inserted in the transaction of the effect, so both commit or neither does. A second delivery
that runs at the same time waits for the first on the unique key and then finds itself a duplicate.
The inbox is pruned after a while: handlers are guarded by state as well.
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
    from collections.abc import Iterator

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
# Pruning leaves room that new rows fill, so a block range holds rows of all ages and BRIN excludes nothing.
INDEXES_V2 = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS inbox_by_time ON inbox (received_at)",
    "DROP INDEX CONCURRENTLY IF EXISTS inbox_received_at",
)

_INSERT = text("INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :event_id) ON CONFLICT DO NOTHING")


class AlreadyHandled(Exception):
    """This consumer has seen the event: nothing is left to do."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one consumer, in the span `traceparent` if that is recorded."""

    consumer: str
    event: Event
    traceparent: str | None = None

    @property
    def message_context(self) -> MessageContext:
        """The message_context of what this delivery causes."""
        message_context = self.event.message_context
        return replace(message_context, traceparent=self.traceparent) if self.traceparent else message_context


@contextmanager
def once(engine: Engine, delivery: Delivery) -> Iterator[Connection]:
    """A transaction that takes effect once per consumer and event. Raises `AlreadyHandled` for a duplicate."""
    with transaction(engine) as connection:
        values = {"consumer": delivery.consumer, "event_id": delivery.event.id}
        if connection.execute(_INSERT, values).rowcount == 0:
            raise AlreadyHandled
        crash_point("inbox.inserted")
        yield connection
        crash_point("inbox.committing")
