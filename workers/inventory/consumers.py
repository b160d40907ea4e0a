"""What inventory does when it hears of something: one function per event, each runs one use case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.messaging.events import read
from services.inventory import usecases
from services.inventory.domain import Line
from workers.inventory.schemas import AboutOrder, OrderPlaced

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.inbox import Delivery


def reserve(delivery: Delivery, engine: Engine) -> None:
    order = read(_ORDER_PLACED, delivery.event)
    lines = [Line(item["sku"], item["quantity"]) for item in order["items"]]
    usecases.order_was_placed(engine, delivery, order["order_id"], lines)


def sell(delivery: Delivery, engine: Engine) -> None:
    usecases.order_was_confirmed(engine, delivery, _order_id(delivery))


def release(delivery: Delivery, engine: Engine) -> None:
    usecases.order_was_cancelled(engine, delivery, _order_id(delivery))


def _order_id(delivery: Delivery) -> str:
    return str(read(_ABOUT_ORDER, delivery.event)["order_id"])


# Made once: a schema copies all its fields whenever it is made.
_ORDER_PLACED = OrderPlaced()
_ABOUT_ORDER = AboutOrder()

HANDLERS = {
    "order.placed.v1": reserve,
    "order.confirmed.v1": sell,
    "order.cancelled.v1": release,
}
