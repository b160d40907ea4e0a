"""Orders' event handlers: one function per event, each runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.messaging.events import read
from common.money import Money
from services.orders import usecases
from services.orders.domain import CancelReason
from workers.orders.schemas import AboutOrder, ProductPriced

if TYPE_CHECKING:
    from common.messaging.inbox import Delivery, Work


def upsert_price(delivery: Delivery, work: Work) -> None:
    product = read(_PRODUCT_PRICED, delivery.event)
    price = Money(product["price"]["amount"], product["price"]["currency"])
    usecases.upsert_price(work, delivery, sku=product["sku"], name=product["name"], price=price)


def reserve(delivery: Delivery, work: Work) -> None:
    usecases.mark_reserved(work, delivery, _order_id(delivery))


def cancel_out_of_stock(delivery: Delivery, work: Work) -> None:
    usecases.order_failed(work, delivery, _order_id(delivery), CancelReason.OUT_OF_STOCK)


def confirm(delivery: Delivery, work: Work) -> None:
    usecases.payment_was_captured(work, delivery, _order_id(delivery))


def cancel_declined(delivery: Delivery, work: Work) -> None:
    usecases.order_failed(work, delivery, _order_id(delivery), CancelReason.PAYMENT_DECLINED)


def resend_final_event(delivery: Delivery, work: Work) -> None:
    usecases.resend_when_overdue(work, delivery, _order_id(delivery))


def _order_id(delivery: Delivery) -> str:
    return str(read(_ABOUT_ORDER, delivery.event)["order_id"])


# Created once: a schema copies all its fields at each creation.
_PRODUCT_PRICED = ProductPriced()
_ABOUT_ORDER = AboutOrder()

HANDLERS = {
    "product.listed.v1": upsert_price,
    "product.changed.v1": upsert_price,
    "stock.reserved.v1": reserve,
    "stock.rejected.v1": cancel_out_of_stock,
    "payment.captured.v1": confirm,
    "payment.declined.v1": cancel_declined,
    "reservation.overdue.v1": resend_final_event,
    "payment.overdue.v1": resend_final_event,
}
