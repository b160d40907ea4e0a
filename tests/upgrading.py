"""An event's new version next to the old one, as an example: `order.placed.v2` groups the items by destination.

This code is not in use. It shows the next versions of orders and inventory in the order of their rollout: first the
reader, then the publisher, and last the removal of the old row. docs/upgrades.md describes it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from common.messaging.events import Contract, Event, read
from common.schemas import MoneySchema, StrictSchema, TolerantSchema, id_field, text_field
from services.inventory import usecases
from services.inventory.domain import Line
from services.orders import producers
from services.orders.producers import SOURCE, PlacedItem
from workers.inventory.consumers import HANDLERS
from workers.inventory.schemas import OrderedItem

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.events import MessageContext
    from common.messaging.inbox import Delivery
    from services.orders.domain import Order


# --- inventory, first: it learns the new version beside the old one --------------------------------------------------


class ShipmentRead(TolerantSchema):
    items = fields.List(fields.Nested(OrderedItem), required=True, validate=validate.Length(min=1))


class OrderPlacedV2Read(TolerantSchema):
    order_id = id_field(required=True)
    shipments = fields.List(fields.Nested(ShipmentRead), required=True, validate=validate.Length(min=1))


def reserve_shipments(delivery: Delivery, engine: Engine) -> None:
    """Calls the same use case as for v1: the versions differ only up to here."""
    order = read(OrderPlacedV2Read(), delivery.event)
    lines = [Line(item["sku"], item["quantity"]) for shipment in order["shipments"] for item in shipment["items"]]
    usecases.order_was_placed(engine, delivery, order["order_id"], lines)


HANDLERS_OF_BOTH = HANDLERS | {"order.placed.v2": reserve_shipments}

# --- orders, then: it publishes the new version, and for a while the old one too -------------------------------------


class Shipment(StrictSchema):
    to = text_field(high=64, required=True)
    items = fields.List(fields.Nested(PlacedItem), required=True, validate=validate.Length(min=1))


class OrderPlacedV2(StrictSchema):
    order_id = id_field(required=True)
    customer_id = text_field(high=64, required=True)
    shipments = fields.List(fields.Nested(Shipment), required=True, validate=validate.Length(min=1))
    total = fields.Nested(MoneySchema, required=True)
    payment_method = text_field(high=255, required=True)


PLACED_V2 = Contract("order.placed.v2", SOURCE, OrderPlacedV2(), "A customer's order was accepted.")


def order_placed_v2(order: Order, message_context: MessageContext) -> Event:
    data: dict[str, Any] = dict(producers.order_placed(order, message_context).data)
    shipments = [{"to": "the customer", "items": data.pop("items")}]
    data["shipments"] = shipments
    return PLACED_V2.event(
        subject=order.id, sequence=order.version, data=data, message_context=message_context, order_id=order.id
    )


def order_placed_in_both_versions(order: Order, message_context: MessageContext) -> tuple[Order, list[Event]]:
    """The order to store, and both events: each has its own sequence, so the version rises by two."""
    first = producers.order_placed(order, message_context)
    next_order = replace(order, version=order.version + 1)
    return next_order, [first, order_placed_v2(next_order, message_context)]
