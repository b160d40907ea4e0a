"""Every consumer of orders receives each event twice and in every order."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from common.errors import Rejected
from common.messaging.inbox import AlreadyHandled
from services.orders import usecases
from services.orders.domain import CancelReason, Status
from services.orders.tests.builders import delivery_of, order_command, place, published
from services.orders.tests.conftest import database_url, engine
from workers.orders.consumers import HANDLERS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.inbox import Delivery

__all__ = ["database_url", "engine"]
pytestmark = pytest.mark.integration
REASONS = {"stock.rejected.v1": CancelReason.OUT_OF_STOCK, "payment.declined.v1": CancelReason.PAYMENT_DECLINED}


def deliver(engine: Engine, delivery: Delivery) -> None:
    HANDLERS[delivery.event.type](delivery, engine)


def deliver_twice(engine: Engine, delivery: Delivery) -> None:
    deliver(engine, delivery)
    with pytest.raises(AlreadyHandled):
        deliver(engine, delivery)


@pytest.mark.parametrize("arrival", list(permutations(["stock.reserved.v1", "payment.captured.v1"])))
def test_a_paid_order_is_confirmed_in_any_order_of_arrival(engine: Engine, arrival: tuple[str, ...]) -> None:
    order_id = place(engine)
    for event_type in arrival:
        deliver_twice(engine, delivery_of(event_type, order_id, items=[], amount={}))
    order = usecases.get_order(engine, order_id, customer_id=None)
    assert (order.status, order.version) == (Status.CONFIRMED, 2)
    assert [event.type for event in published(engine, order_id)] == ["order.placed.v1", "order.confirmed.v1"]


@pytest.mark.parametrize("failure", REASONS)
def test_a_failed_order_is_cancelled_once_with_its_reason(engine: Engine, failure: str) -> None:
    for arrival in permutations([failure, "stock.reserved.v1"]):
        order_id = place(engine)
        for event_type in arrival:
            deliver_twice(engine, delivery_of(event_type, order_id))
        deliver(engine, delivery_of("payment.captured.v1", order_id))  # too late to have an effect
        order = usecases.get_order(engine, order_id, customer_id=None)
        assert (order.status, order.cancel_reason, order.version) == (Status.CANCELLED, REASONS[failure], 2)
        last = published(engine, order_id)[-1]
        assert (last.type, last.sequence, last.data["reason"]) == ("order.cancelled.v1", 2, REASONS[failure])


def test_an_outdated_price_changes_nothing(engine: Engine) -> None:
    def priced(sequence: int, amount: int) -> Delivery:
        price = {"amount": amount, "currency": "usd"}
        return delivery_of("product.changed.v1", "TEA", sequence, sku="TEA", name="Tea", price=price)

    deliver_twice(engine, priced(3, 700))
    deliver_twice(engine, priced(2, 600))
    placed = usecases.place_order(engine, order_command(), delivery_of("product.changed.v1", "TEA").message_context)
    assert placed.order.total.amount == 700


def test_an_event_that_violates_its_contract_is_rejected_permanently(engine: Engine) -> None:
    with pytest.raises(Rejected):
        deliver(engine, delivery_of("product.listed.v1", "TEA", sku="TEA", name="Tea", price={"amount": "free"}))
    with pytest.raises(Rejected):
        deliver(engine, delivery_of("payment.captured.v1", "not-an-order"))
