"""Inventory's event handlers: one function per event, each runs one use case."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from common.messaging.events import InvalidEventError, read
from services.inventory import usecases
from services.inventory.domain import Line
from workers.inventory.schemas import AboutOrder, OrderPlaced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from common.messaging.inbox import Delivery, Work

ORDER_PLACED = "order.placed.v1"


def reserve(delivery: Delivery, work: Work) -> None:
    usecases.order_was_placed(work, delivery, *_placed(delivery))


def sell(delivery: Delivery, work: Work) -> None:
    usecases.order_was_confirmed(work, delivery, _order_id(delivery))


def release(delivery: Delivery, work: Work) -> None:
    usecases.order_was_cancelled(work, delivery, _order_id(delivery))


def orders_together(connection: Connection, deliveries: Sequence[Delivery]) -> AbstractContextManager[None]:
    """Lock and write the orders of a batch together, because they share products.

    A malformed event fails later in its handler.
    """
    placed: dict[str, list[Line]] = {}
    others = []
    for delivery in deliveries:
        with suppress(InvalidEventError):
            if delivery.event.type == ORDER_PLACED:
                order_id, lines = _placed(delivery)
                placed[order_id] = lines
            else:
                others.append(_order_id(delivery))
    return usecases.orders_together(connection, placed=placed, others=others)


def _placed(delivery: Delivery) -> tuple[str, list[Line]]:
    order = read(_ORDER_PLACED, delivery.event)
    return order["order_id"], [Line(item["sku"], item["quantity"]) for item in order["items"]]


def _order_id(delivery: Delivery) -> str:
    return str(read(_ABOUT_ORDER, delivery.event)["order_id"])


# Created once: a schema copies all its fields at each creation.
_ORDER_PLACED = OrderPlaced()
_ABOUT_ORDER = AboutOrder()

HANDLERS = {
    ORDER_PLACED: reserve,
    "order.confirmed.v1": sell,
    "order.cancelled.v1": release,
}
