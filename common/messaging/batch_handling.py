"""Handles several events in one PostgreSQL transaction.

Guarantee: either all of a batch take effect, with their inbox and outbox rows, or `InboxBatches.handle` raises and none
does. So a failed event can be retried alone. Events are handled in the order of their subjects:
rows that belong to a subject are locked in the same order by every batch.

A handler is the same for one event and in a batch. A context saves statements by locking and writing the rows of all
events at once around them (`common.storage.locked_rows`).
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.messaging import outbox
from common.messaging.event_spans import delivering
from common.messaging.inbox import AlreadyHandled, Batch, Delivery
from common.resilience.crash_points import crash_point
from common.storage.postgresql import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from common.messaging.inbox import Work

    Handlers = Mapping[str, Callable[[Delivery, Work], None]]
    Around = Callable[[Connection, Sequence[Delivery]], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Batching:
    """How a worker handles up to `size` events at once.

    `handle` returns for each whether it took effect now, or None to have it handled alone; or it raises, and all of
    them are handled alone.
    """

    handle: Callable[[Sequence[Delivery]], Sequence[bool | None]]
    size: int


def _nothing(_connection: Connection, _deliveries: Sequence[Delivery]) -> AbstractContextManager[None]:
    """A handler locks and writes its own rows."""
    return nullcontext()


class InboxBatches:
    """Handles several events at once with one context's `handlers`, in a transaction of `engine`.

    They run within `around`, which gets the events that are not duplicates. It must lock, in one order, rows that
    handlers of different subjects change.
    """

    def __init__(self, engine: Engine, handlers: Handlers, around: Around = _nothing) -> None:
        self._engine, self._handlers, self._around = engine, handlers, around

    def handle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Return whether each took effect now (if not, it is a duplicate). Raises errors of handlers and commit."""
        order = sorted(range(len(deliveries)), key=lambda index: deliveries[index].event.subject)
        took_effect = [False] * len(deliveries)
        with transaction(self._engine) as connection:
            batch = Batch(connection, deliveries)
            new = [delivery for delivery in deliveries if batch.is_new(delivery)]
            with self._around(connection, new), outbox.in_one_statement(connection):
                for index in order:
                    took_effect[index] = self._handle(deliveries[index], batch)
            crash_point("batch.committing")
        batch.committed()
        return took_effect

    def _handle(self, delivery: Delivery, batch: Batch) -> bool:
        event = delivery.event
        with delivering(delivery.consumer, event) as span:
            try:
                self._handlers[event.type](Delivery(delivery.consumer, event, span.traceparent), batch)
            except AlreadyHandled:
                return False
        return True
