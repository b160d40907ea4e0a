"""Time-outs: an order that is open longer than a bound is cancelled, and the other contexts undo what they did for it.

The bound is measured on a clock of its own, a row that `tick` moves on, and that stands still while something holds
sagas up: a long outage does not end in mass cancellation. An order keeps the clock's reading of the moment it was
placed. The clock moves by the time since its last tick, at most `MAX_TICK_SECONDS`, whoever ticks and however many do;
nobody ticking, it stands still. It runs too long by at most one tick for each outage: that is how often anyone looks.
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
READING = Gauge("holdfast_saga_clock_seconds", "For how long sagas could go on, in all")


def tick(engine: Engine, *, stands_still: bool) -> float:
    """Move the clock on, unless it is to stand still; answers its reading in seconds."""
    with autocommit(engine) as connection:
        reading = clock.tick(connection, stands_still=stands_still, max_seconds=MAX_TICK_SECONDS)
    READING.set(reading)
    return reading


def cancel_overdue_orders(
    engine: Engine, *, reading: float, bound_seconds: float, limit: int, should_continue: Callable[[], bool]
) -> int:
    """Cancel orders that were open for longer than the bound at this reading of the clock; answers how many."""
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
    """The cancelled order; None if it is open no more: a fact that arrived meanwhile has won, its lock was awaited."""
    order = models.lock(connection, order_id)
    if order is None or not domain.when_it_fails(order.status):
        return None
    with new_trace_context("time an order out", order_id=order_id) as message_context:
        return cancel(connection, order, CancelReason.TIMED_OUT, message_context)
