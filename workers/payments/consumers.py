"""Payments' event handlers: one function per event, each runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.messaging.events import read
from common.money import Money
from services.payments import open_cases, usecases
from services.payments.domain import Terms
from workers.payments.schemas import AboutOrder, OrderPlaced

if TYPE_CHECKING:
    from common.messaging.inbox import Delivery
    from services.payments.resources import Resources


def remember_order(delivery: Delivery, resources: Resources) -> None:
    order = read(_ORDER_PLACED, delivery.event)
    total = Money(order["total"]["amount"], order["total"]["currency"])
    terms = Terms(order["customer_id"], total, order["payment_method"])
    usecases.order_was_placed(resources, delivery, order["order_id"], terms)


def charge(delivery: Delivery, resources: Resources) -> None:
    usecases.mark_reserved(resources, delivery, _order_id(delivery))


def give_back(delivery: Delivery, resources: Resources) -> None:
    usecases.order_was_cancelled(resources, delivery, _order_id(delivery))


def record_confirmation(delivery: Delivery, resources: Resources) -> None:
    usecases.order_was_confirmed(resources, delivery, _order_id(delivery))


def report_refused_refund(delivery: Delivery, resources: Resources) -> None:
    open_cases.refund_was_refused(resources, delivery, _order_id(delivery))


def _order_id(delivery: Delivery) -> str:
    return str(read(_ABOUT_ORDER, delivery.event)["order_id"])


# Created once: a schema copies all its fields at each creation.
_ORDER_PLACED = OrderPlaced()
_ABOUT_ORDER = AboutOrder()

HANDLERS = {
    "order.placed.v1": remember_order,
    "stock.reserved.v1": charge,
    "order.confirmed.v1": record_confirmation,
    "order.cancelled.v1": give_back,
    "payment.refund_refused.v1": report_refused_refund,
}
