"""Time-outs on a real database: the clock (`clock.py`), overdue orders, and the race with a late capture."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.messaging.inbox import AlreadyHandled
from common.storage.postgresql import autocommit, transaction
from services.orders import models, timeouts, usecases
from services.orders.domain import CancelReason, Status
from services.orders.tests.builders import delivery_of, place, published, together

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
BOUND = 300.0


def wind(engine: Engine, seconds: float) -> float:
    """Advance the clock manually; returns its reading."""
    with autocommit(engine) as connection:
        moved = text("UPDATE saga_clock SET active_seconds = active_seconds + :s RETURNING active_seconds")
        return float(connection.execute(moved, {"s": seconds}).scalar_one())


def sweep(engine: Engine, reading: float, limit: int = 100) -> int:
    return timeouts.cancel_overdue_orders(
        engine, reading=reading, bound_seconds=BOUND, limit=limit, should_continue=lambda: True
    )


def order_of(engine: Engine, order_id: str) -> tuple[Status, CancelReason | None]:
    order = usecases.get_order(engine, order_id, customer_id=None)
    return order.status, order.cancel_reason


TIMED_OUT = (Status.CANCELLED, CancelReason.TIMED_OUT)


def test_the_clock_runs_stops_and_resumes(engine: Engine) -> None:
    began = time.monotonic()
    first = timeouts.tick(engine, is_stopped=False)
    time.sleep(0.3)
    second = timeouts.tick(engine, is_stopped=False)
    assert 0.3 <= second - first < time.monotonic() - began
    time.sleep(0.3)
    assert timeouts.tick(engine, is_stopped=True) == second
    time.sleep(0.3)
    # Time that passed while it was stopped is not added later.
    stood = time.monotonic()
    assert timeouts.tick(engine, is_stopped=True) == second
    time.sleep(0.1)
    assert 0.1 <= timeouts.tick(engine, is_stopped=False) - second < time.monotonic() - stood


def test_a_clock_without_ticks_advances_by_a_few_seconds_at_most(engine: Engine) -> None:
    before = timeouts.tick(engine, is_stopped=False)
    for interval in ("-1 day", "1 day"):  # without ticks, and with the server's own clock set back
        with autocommit(engine) as connection:
            connection.execute(text(f"UPDATE saga_clock SET ticked_at = clock_timestamp() + interval '{interval}'"))
        assert timeouts.tick(engine, is_stopped=False) - before <= timeouts.MAX_TICK_SECONDS


def test_concurrent_ticks_count_the_time_once(engine: Engine) -> None:
    began, first = time.monotonic(), timeouts.tick(engine, is_stopped=False)
    for _ in range(5):
        together(4, lambda _: timeouts.tick(engine, is_stopped=False))
    assert timeouts.tick(engine, is_stopped=False) - first <= time.monotonic() - began + 0.1


def test_only_overdue_orders_are_cancelled_and_only_once(engine: Engine) -> None:
    pending, reserved, confirmed = place(engine), place(engine), place(engine)
    usecases.mark_reserved(engine, delivery_of("stock.reserved.v1", reserved), reserved)
    usecases.confirm_order(engine, delivery_of("payment.captured.v1", confirmed), confirmed)
    late = place_at(engine, 200)
    assert sweep(engine, wind(engine, 99)) == 0
    assert sweep(engine, wind(engine, 2)) == 2
    assert sweep(engine, wind(engine, 0)) == 0
    assert order_of(engine, pending) == order_of(engine, reserved) == TIMED_OUT
    assert order_of(engine, confirmed) == (Status.CONFIRMED, None)
    assert order_of(engine, late) == (Status.PENDING, None)
    (_, cancelled) = published(engine, pending)
    assert (cancelled.type, cancelled.sequence) == ("order.cancelled.v1", 2)
    assert cancelled.data["reason"] == "timed_out"


def place_at(engine: Engine, seconds: float) -> str:
    wind(engine, seconds)
    return place(engine)


def test_an_order_of_the_previous_version_starts_at_the_current_reading(engine: Engine) -> None:
    wind(engine, 10_000)
    order = place(engine)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE orders SET clock_reading = NULL"))
    assert sweep(engine, wind(engine, 0)) == 0
    assert sweep(engine, wind(engine, BOUND - 1)) == 0
    assert sweep(engine, wind(engine, 2)) == 1
    assert order_of(engine, order) == TIMED_OUT


def test_overdue_orders_are_cancelled_in_batches_oldest_first(engine: Engine) -> None:
    orders = [place_at(engine, 1) for _ in range(5)]
    reading = wind(engine, 2 * BOUND)
    assert sweep(engine, reading, limit=3) == 3
    assert [order_of(engine, order)[0] for order in orders] == [Status.CANCELLED] * 3 + [Status.PENDING] * 2
    assert sweep(engine, reading, limit=3) == 2


def test_concurrent_sweeps_cancel_each_order_once(engine: Engine) -> None:
    orders = [place(engine) for _ in range(10)]
    reading = wind(engine, 2 * BOUND)
    assert sum(together(2, lambda _: sweep(engine, reading))) == len(orders)
    for order in orders:
        assert [event.type for event in published(engine, order)] == ["order.placed.v1", "order.cancelled.v1"]


def test_a_capture_in_progress_wins_over_the_time_out(engine: Engine) -> None:
    order = place(engine)
    reading = wind(engine, 2 * BOUND)
    done: list[int] = []
    with transaction(engine) as connection:
        # The capture holds the order's lock; the sweep has found the order overdue and waits for the lock.
        locked = models.lock(connection, order)
        waiting = threading.Thread(target=lambda: done.append(sweep(engine, reading)))
        waiting.start()
        _until_somebody_waits_for_a_lock(engine)
        assert locked is not None
        connection.execute(text("UPDATE orders SET status = 'confirmed', version = 2 WHERE id = :id"), {"id": order})
    waiting.join(60)
    assert done == [0]
    assert order_of(engine, order) == (Status.CONFIRMED, None)
    assert [event.type for event in published(engine, order)] == ["order.placed.v1"]


def test_a_capture_after_the_time_out_only_resends_the_cancellation(engine: Engine) -> None:
    order = place(engine)
    assert sweep(engine, wind(engine, 2 * BOUND)) == 1
    capture = delivery_of("payment.captured.v1", order)
    usecases.confirm_order(engine, capture, order)
    with pytest.raises(AlreadyHandled):
        usecases.confirm_order(engine, capture, order)
    assert order_of(engine, order) == TIMED_OUT
    _, first, again = published(engine, order)
    assert first == again  # the same event: consumers drop the duplicate


def _until_somebody_waits_for_a_lock(engine: Engine) -> None:
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 60
    while True:
        with autocommit(engine) as connection:
            if connection.execute(waits).scalar_one():
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)
