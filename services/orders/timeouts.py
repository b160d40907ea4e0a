"""Time-outs: an order that is open for too long is cancelled, and the other contexts undo their part.

The time is measured on a separate clock, a row that `tick` advances, and that is stopped while sagas are held up, so
that a long outage does not cancel all open orders. An order stores the clock's reading at its placement. The clock
advances by the time since its last tick, at most `MAX_TICK_SECONDS`, with any number of tickers; without ticks it is
stopped. It advances too far by at most one tick per outage, the polling interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Gauge

from common.messaging.message_context import new_trace_context
from common.storage.postgresql import autocommit, transaction
from services.orders import clock, domain, metrics, models
from services.orders.domain import CancelReason
from services.orders.usecases import cancel

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from services.orders.domain import Order

MAX_TICK_SECONDS = 3.0
READING = Gauge("holdfast_saga_clock_seconds", "Total time during which sagas were not held up")


def tick(engine: Engine, *, is_stopped: bool) -> float:
    """Advance the clock, unless sagas are held up; returns its reading in seconds."""
    with autocommit(engine) as connection:
        reading = clock.tick(connection, is_stopped=is_stopped, max_seconds=MAX_TICK_SECONDS)
    READING.set(reading)
    return reading


def cancel_overdue_orders(
    engine: Engine, *, reading: float, bound_seconds: float, limit: int, should_continue: Callable[[], bool]
) -> int:
    """Cancel orders that were open for too long at this reading of the clock; returns how many."""
    with autocommit(engine) as connection:
        clock.adopt(connection, reading)
        overdue = clock.overdue(connection, before=reading - bound_seconds, limit=limit)
    cancelled = 0
    for order_id in overdue:
        if not should_continue():
            break
        with transaction(engine) as connection:
            ended = _time_out(connection, order_id)
        if ended is not None:
            metrics.count_ended(ended)
            cancelled += 1
    return cancelled


def _time_out(connection: Connection, order_id: str) -> Order | None:
    """The cancelled order; None if a concurrent fact has ended it before this transaction got the lock."""
    order = models.lock(connection, order_id)
    if order is None or not domain.when_it_fails(order.status):
        return None
    with new_trace_context("time an order out", order_id=order_id) as message_context:
        return cancel(connection, order, CancelReason.TIMED_OUT, message_context)
