"""The events that orders publishes: its public contract. Their subject is the order, their sequence its version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from common.messaging.events import Contract, Event, MessageContext
from common.schemas import Integer, MoneySchema, StrictSchema, id_field, sku_field, text_field
from services.orders.domain import CancelReason, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.money import Money
    from services.orders.domain import Order

SOURCE = "/services/orders"


class PlacedItem(StrictSchema):
    sku = sku_field(required=True)
    quantity = Integer(required=True, validate=validate.Range(min=1))
    unit_price = fields.Nested(MoneySchema, required=True)


class OrderPlaced(StrictSchema):
    order_id = id_field(required=True)
    customer_id = text_field(high=64, required=True)
    items = fields.List(fields.Nested(PlacedItem), required=True, validate=validate.Length(min=1))
    total = fields.Nested(MoneySchema, required=True)
    payment_method = text_field(high=255, required=True)


class OrderConfirmed(StrictSchema):
    order_id = id_field(required=True)
    customer_id = text_field(high=64, required=True)
    total = fields.Nested(MoneySchema, required=True)


class OrderCancelled(StrictSchema):
    order_id = id_field(required=True)
    customer_id = text_field(high=64, required=True)
    reason = fields.String(required=True, validate=validate.OneOf([reason.value for reason in CancelReason]))


PLACED = Contract("order.placed.v1", SOURCE, OrderPlaced(), "A customer's order was accepted.")
CONFIRMED = Contract("order.confirmed.v1", SOURCE, OrderConfirmed(), "Stock is reserved and the payment captured.")
CANCELLED = Contract("order.cancelled.v1", SOURCE, OrderCancelled(), "The order ended without a sale.")
CONTRACTS = (PLACED, CONFIRMED, CANCELLED)


def order_placed(order: Order, message_context: MessageContext) -> Event:
    items = [{"sku": line.sku, "quantity": line.quantity, "unit_price": money(line.unit_price)} for line in order.lines]
    details = {"items": items, "total": money(order.total), "payment_method": order.payment_method}
    return _event(PLACED, order, message_context, details)


def order_confirmed(order: Order, message_context: MessageContext) -> Event:
    return _event(CONFIRMED, order, message_context, {"total": money(order.total)})


def order_cancelled(order: Order, message_context: MessageContext) -> Event:
    return _event(CANCELLED, order, message_context, {"reason": order.cancel_reason})


def envelope(event: Event) -> dict[str, Any]:
    """The parts of the event that the order row lacks; `recreate_final_event` recreates the same event from them."""
    return {
        "id": event.id,
        "time": event.time,
        "correlationid": event.correlationid,
        "causationid": event.causationid,
        "traceparent": event.traceparent,
    }


def recreate_final_event(order: Order, stored: Mapping[str, Any]) -> Event:
    """The order's final event as it was published, with the same id and sequence, so consumers drop duplicates."""
    message_context = MessageContext(stored["correlationid"], stored["causationid"], stored["traceparent"])
    made = (order_confirmed if order.status is Status.CONFIRMED else order_cancelled)(order, message_context)
    return replace(made, id=stored["id"], time=stored["time"])


def money(value: Money) -> dict[str, Any]:
    return {"amount": value.amount, "currency": value.currency}


def _event(contract: Contract, order: Order, message_context: MessageContext, details: dict[str, Any]) -> Event:
    data = {"order_id": order.id, "customer_id": order.customer_id} | details
    return contract.event(
        subject=order.id, sequence=order.version, data=data, message_context=message_context, order_id=order.id
    )
