"""Several orders' events in one transaction, on a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.errors import NotFound
from common.messaging.batch_handling import InboxBatches
from common.messaging.events import new_id
from common.tests.query_plans import sent_statements
from services.orders import usecases
from services.orders.domain import Status
from services.orders.metrics import CONFIRMED
from services.orders.tests.builders import delivery_of, place, published
from services.orders.tests.conftest import database_url, engine
from workers.orders.consumers import HANDLERS, orders_together

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["database_url", "engine"]
pytestmark = pytest.mark.integration


def test_a_batch_confirms_and_cancels(engine: Engine) -> None:
    orders = [place(engine) for _ in range(4)]
    batches = InboxBatches(engine, HANDLERS, orders_together)
    reserved = [delivery_of("stock.reserved.v1", order) for order in orders]
    assert batches.handle(reserved) == [True] * 4
    ends = [delivery_of("payment.captured.v1", order) for order in orders[:3]] + [
        delivery_of("payment.declined.v1", orders[3])
    ]
    before = CONFIRMED._value.get()
    assert batches.handle([*ends, reserved[0]]) == [True] * 4 + [False]
    assert CONFIRMED._value.get() == before + 3
    states = [usecases.get_order(engine, order, customer_id=None) for order in orders]
    assert [(each.status, each.version) for each in states] == [(Status.CONFIRMED, 2)] * 3 + [(Status.CANCELLED, 2)]
    for order, last in zip(orders, ["confirmed"] * 3 + ["cancelled"], strict=True):
        assert [each.type for each in published(engine, order)] == ["order.placed.v1", f"order.{last}.v1"]


def test_a_batch_sends_as_many_statements_as_one_event(engine: Engine) -> None:
    counts = []
    for size in (1, 20):
        orders = [place(engine) for _ in range(size)]
        for kind in ("stock.reserved.v1", "payment.captured.v1"):
            with sent_statements(engine) as sent:
                InboxBatches(engine, HANDLERS, orders_together).handle([delivery_of(kind, order) for order in orders])
            counts.append(len(sent))
    assert counts == [3, 4, 3, 4], "the inbox, the locks, what is written, and the outbox of ended orders"


def test_a_capture_after_the_cancellation_in_the_same_batch_publishes_the_cancellation_again(engine: Engine) -> None:
    order = place(engine)
    events = [delivery_of("payment.declined.v1", order), delivery_of("payment.captured.v1", order)]
    assert InboxBatches(engine, HANDLERS, orders_together).handle(events) == [True, True]
    assert [each.type for each in published(engine, order)] == ["order.placed.v1"] + ["order.cancelled.v1"] * 2


def test_an_event_about_an_unknown_order_rolls_back_its_batch(engine: Engine) -> None:
    order = place(engine)
    before = CONFIRMED._value.get()
    with pytest.raises(NotFound):
        InboxBatches(engine, HANDLERS, orders_together).handle(
            [delivery_of("payment.captured.v1", order), delivery_of("payment.captured.v1", new_id())]
        )
    assert usecases.get_order(engine, order, customer_id=None).status is Status.PENDING
    assert [each.type for each in published(engine, order)] == ["order.placed.v1"]
    assert CONFIRMED._value.get() == before
