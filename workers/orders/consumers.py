"""Orders' event handlers: one function per event, each runs one use case."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from common.messaging.events import InvalidEventError, read
from common.money import Money
from services.orders import usecases
from services.orders.domain import CancelReason
from workers.orders.schemas import AboutOrder, ProductPriced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from common.messaging.inbox import Delivery, Work


def upsert_price(delivery: Delivery, work: Work) -> None:
    product = read(_PRODUCT_PRICED, delivery.event)
    price = Money(product["price"]["amount"], product["price"]["currency"])
    usecases.upsert_price(work, delivery, sku=product["sku"], name=product["name"], price=price)


def reserve(delivery: Delivery, work: Work) -> None:
    usecases.mark_reserved(work, delivery, _order_id(delivery))


def cancel_out_of_stock(delivery: Delivery, work: Work) -> None:
    usecases.cancel_failed_order(work, delivery, _order_id(delivery), CancelReason.OUT_OF_STOCK)


def confirm(delivery: Delivery, work: Work) -> None:
    usecases.confirm_order(work, delivery, _order_id(delivery))


def cancel_declined(delivery: Delivery, work: Work) -> None:
    usecases.cancel_failed_order(work, delivery, _order_id(delivery), CancelReason.PAYMENT_DECLINED)


def resend_final_event(delivery: Delivery, work: Work) -> None:
    usecases.resend_when_overdue(work, delivery, _order_id(delivery))


def orders_together(connection: Connection, deliveries: Sequence[Delivery]) -> AbstractContextManager[None]:
    """Lock and write the orders of a batch together. A malformed event fails later in its handler."""
    order_ids = []
    for delivery in deliveries:
        with suppress(InvalidEventError):
            if HANDLERS.get(delivery.event.type) is not upsert_price:
                order_ids.append(_order_id(delivery))
    return usecases.orders_together(connection, order_ids)


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
