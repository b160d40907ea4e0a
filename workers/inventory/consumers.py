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

    from sqlalchemy import Connection

    from common.messaging.inbox import Delivery, Work

ORDER_PLACED = "order.placed.v1"


def reserve(delivery: Delivery, work: Work) -> None:
    order = read(_ORDER_PLACED, delivery.event)
    lines = [Line(item["sku"], item["quantity"]) for item in order["items"]]
    usecases.order_was_placed(work, delivery, order["order_id"], lines)


def sell(delivery: Delivery, work: Work) -> None:
    usecases.order_was_confirmed(work, delivery, _order_id(delivery))


def release(delivery: Delivery, work: Work) -> None:
    usecases.order_was_cancelled(work, delivery, _order_id(delivery))


def lock_stock(connection: Connection, deliveries: Sequence[Delivery]) -> None:
    """Called before a batch, because its orders share products. A malformed event fails later in its handler."""
    skus, order_ids = [], []
    for event in (delivery.event for delivery in deliveries):
        with suppress(InvalidEventError):
            if event.type == ORDER_PLACED:
                skus += [item["sku"] for item in read(_ORDER_PLACED, event)["items"]]
            else:
                order_ids.append(str(read(_ABOUT_ORDER, event)["order_id"]))
    usecases.lock_stock(connection, skus=skus, order_ids=order_ids)


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
