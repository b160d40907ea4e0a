"""Orders' sweeps, one run at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.resilience.sweeps import SweepContext
from common.storage.postgresql import autocommit
from services.orders import usecases
from services.orders.domain import Status
from services.orders.tests.builders import delivery_of, place, published
from services.orders.tests.conftest import database_url, engine
from workers.orders.sweeps import SWEEPS, Resources

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["database_url", "engine"]
pytestmark = pytest.mark.integration
RUNNING = SweepContext(should_continue=lambda: True, held_up=lambda: None)
HELD_UP = SweepContext(should_continue=lambda: True, held_up=lambda: "the broker: no answer")
RUN = {sweep.name: sweep.run for sweep in SWEEPS}


def status(engine: Engine, order_id: str) -> Status:
    return usecases.get_order(engine, order_id, customer_id=None).status


def test_an_order_is_timed_out_by_the_saga_clock(engine: Engine) -> None:
    resources, order = Resources(engine, timeout_seconds=0.5), place(engine)
    for _ in range(4):
        time.sleep(0.2)
        assert RUN["time-outs"](resources, HELD_UP) == 0
    assert status(engine, order) is Status.PENDING
    time.sleep(0.6)
    assert RUN["time-outs"](resources, RUNNING) == 1
    assert status(engine, order) is Status.CANCELLED


def test_an_overdue_order_is_not_timed_out_while_sagas_are_held_up(engine: Engine) -> None:
    resources, order = Resources(engine, timeout_seconds=0.1), place(engine)
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE saga_clock SET active_seconds = 100"))
    assert RUN["time-outs"](resources, HELD_UP) == 0
    assert status(engine, order) is Status.PENDING
    assert RUN["time-outs"](resources, RUNNING) == 1
    assert status(engine, order) is Status.CANCELLED


def test_a_redelivery_after_the_inbox_was_pruned_changes_nothing(engine: Engine) -> None:
    order = place(engine)
    reserved, captured = delivery_of("stock.reserved.v1", order), delivery_of("payment.captured.v1", order)

    def receive() -> None:
        usecases.mark_reserved(engine, reserved, order)
        usecases.confirm_order(engine, captured, order)

    receive()
    with autocommit(engine) as connection:
        connection.execute(text("UPDATE inbox SET received_at = received_at - interval '8 days'"))
    assert RUN["prune-inbox"](Resources(engine, 300), RUNNING) == 2
    assert RUN["prune-replies"](Resources(engine, 300), RUNNING) == 0
    receive()
    assert status(engine, order) is Status.CONFIRMED
    assert [event.type for event in published(engine, order)] == ["order.placed.v1", "order.confirmed.v1"]
