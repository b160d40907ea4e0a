"""Payments' event handlers: one function per event, each runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.messaging.events import read
from common.money import Money
from services.payments import facts, open_cases, usecases
from services.payments.domain import Terms
from workers.payments.schemas import AboutOrder, OrderPlaced

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.messaging.inbox import Delivery
    from services.payments.facts import Fact
    from services.payments.resources import Resources


def add_fact(delivery: Delivery, resources: Resources) -> None:
    usecases.add_fact(resources, delivery, _FACTS[delivery.event.type](delivery))


def record_confirmation(delivery: Delivery, resources: Resources) -> None:
    usecases.order_was_confirmed(resources, delivery, _order_id(delivery))


def report_refused_refund(delivery: Delivery, resources: Resources) -> None:
    open_cases.refund_was_refused(resources, delivery, _order_id(delivery))


def read_fact(delivery: Delivery) -> Fact | None:
    """For a batch: what the event says, if it can be handled together with others."""
    return _FACTS[delivery.event.type](delivery) if delivery.event.type in _IN_BATCHES else None


def _placed(delivery: Delivery) -> Fact:
    order = read(_ORDER_PLACED, delivery.event)
    total = Money(order["total"]["amount"], order["total"]["currency"])
    return facts.order_placed(order["order_id"], Terms(order["customer_id"], total, order["payment_method"]))


def _order_id(delivery: Delivery) -> str:
    return str(read(_ABOUT_ORDER, delivery.event)["order_id"])


# Created once: a schema copies all its fields at each creation.
_ORDER_PLACED = OrderPlaced()
_ABOUT_ORDER = AboutOrder()
_FACTS: dict[str, Callable[[Delivery], Fact]] = {
    "order.placed.v1": _placed,
    "stock.reserved.v1": lambda delivery: facts.stock_reserved(_order_id(delivery)),
    "order.confirmed.v1": lambda delivery: facts.order_confirmed(_order_id(delivery)),
    "order.cancelled.v1": lambda delivery: facts.order_cancelled(_order_id(delivery)),
}
_IN_BATCHES = {"order.placed.v1", "stock.reserved.v1", "order.confirmed.v1"}

HANDLERS = {
    "order.placed.v1": add_fact,
    "stock.reserved.v1": add_fact,
    "order.confirmed.v1": record_confirmation,
    "order.cancelled.v1": add_fact,
    "payment.refund_refused.v1": report_refused_refund,
}
