"""The events of orders: their subject, sequence and data match their contracts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from common.errors import Rejected
from common.messaging.events import MessageContext, new_id, utc_now
from common.money import Money
from services.orders import producers
from services.orders.domain import CancelReason, Line, Order, Status

MESSAGE_CONTEXT = MessageContext("c-1", causation_id=new_id(), traceparent=None)
ORDER = Order(
    id=new_id(),
    customer_id="ann",
    status=Status.PENDING,
    lines=(Line("TEA", 2, Money(450, "usd")),),
    total=Money(900, "usd"),
    payment_method="pm_card_visa",
    version=1,
    created_at=utc_now(),
)


def test_placing_publishes_order_placed() -> None:
    event = producers.order_placed(ORDER, MESSAGE_CONTEXT)
    assert (event.type, event.subject, event.orderid, event.sequence) == ("order.placed.v1", ORDER.id, ORDER.id, 1)
    assert event.data["items"] == [{"sku": "TEA", "quantity": 2, "unit_price": {"amount": 450, "currency": "usd"}}]
    assert (event.correlationid, event.causationid) == (MESSAGE_CONTEXT.correlation_id, MESSAGE_CONTEXT.causation_id)


@pytest.mark.parametrize("reason", list(CancelReason))
def test_cancelling_publishes_the_reason(reason: CancelReason) -> None:
    cancelled = replace(ORDER, status=Status.CANCELLED, cancel_reason=reason, version=2)
    event = producers.order_cancelled(cancelled, MESSAGE_CONTEXT)
    assert (event.type, event.sequence, event.data["reason"]) == ("order.cancelled.v1", 2, reason)


def test_confirming_publishes_order_confirmed() -> None:
    event = producers.order_confirmed(replace(ORDER, status=Status.CONFIRMED, version=2), MESSAGE_CONTEXT)
    assert event.data == {
        "order_id": ORDER.id,
        "customer_id": "ann",
        "total": {"amount": 900, "currency": "usd"},
    }


def test_an_event_that_violates_its_contract_is_not_published() -> None:
    with pytest.raises(Rejected):
        producers.order_placed(replace(ORDER, lines=()), MESSAGE_CONTEXT)
