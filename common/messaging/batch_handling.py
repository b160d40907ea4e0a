"""Several events in one transaction of PostgreSQL.

Guarantee: either all of a batch take effect, with their inbox and outbox rows, or `InboxBatches.handle` raises and none
does. So an event that fails leaves nothing in the way of its retry. Events are handled in the order of their subjects:
rows that belong to a subject are locked in the same order by every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from structlog.contextvars import bound_contextvars

from common.messaging.event_spans import delivery_span
from common.messaging.inbox import AlreadyHandled, Batch, Delivery
from common.observability.traceparent import log_ids
from common.resilience.crash_points import crash_point
from common.storage.postgresql import transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from common.messaging.inbox import Work

    Handlers = Mapping[str, Callable[[Delivery, Work], None]]
    Lock = Callable[[Connection, Sequence[Delivery]], object]


@dataclass(frozen=True, slots=True)
class Batching:
    """How a worker handles up to `size` events at once: `handle` returns which took effect now, or raises."""

    handle: Callable[[Sequence[Delivery]], list[bool]]
    size: int


def _nothing(_connection: Connection, _deliveries: Sequence[Delivery]) -> None:
    """Most handlers lock no row but their subject's."""


class InboxBatches:
    """One context's `handlers`, whose effects are on `engine`, for several events at once.

    `lock` locks, in one order, what handlers of different subjects both change.
    """

    def __init__(self, engine: Engine, handlers: Handlers, lock: Lock = _nothing) -> None:
        self._engine, self._handlers, self._lock = engine, handlers, lock

    def handle(self, deliveries: Sequence[Delivery]) -> list[bool]:
        """Which of them took effect now; the others are duplicates. Raises whatever a handler or the commit raises."""
        order = sorted(range(len(deliveries)), key=lambda index: deliveries[index].event.subject)
        took_effect = [False] * len(deliveries)
        with transaction(self._engine) as connection:
            batch = Batch(connection, deliveries)
            self._lock(connection, deliveries)
            for index in order:
                took_effect[index] = self._handle(deliveries[index], batch)
            crash_point("batch.committing")
        batch.committed()
        return took_effect

    def _handle(self, delivery: Delivery, batch: Batch) -> bool:
        event = delivery.event
        with (
            delivery_span(delivery.consumer, event, attempt=1) as span,
            bound_contextvars(
                consumer=delivery.consumer,
                event_id=event.id,
                event_type=event.type,
                subject=event.subject,
                correlation_id=event.correlationid,
                **log_ids(span.traceparent),
            ),
        ):
            try:
                self._handlers[event.type](Delivery(delivery.consumer, event, span.traceparent), batch)
            except AlreadyHandled:
                return False
        return True
