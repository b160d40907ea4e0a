"""The events that inventory publishes: its public contract.

About a product (subject its sku, sequence its version): listed, changed, adjusted. About an order (subject the order,
sequence the reservation's version): reserved or rejected, perhaps overdue, then sold or released.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from common.messaging.events import Contract, Event, MessageContext
from common.schemas import Integer, MoneySchema, StrictSchema, id_field, sku_field, text_field
from services.inventory.domain import MAX_ON_HAND, Reason

if TYPE_CHECKING:
    from common.money import Money
    from services.inventory.domain import Product, Refusal, Reservation

SOURCE = "/services/inventory"


class ProductPriced(StrictSchema):
    sku = sku_field(required=True)
    name = text_field(high=200, required=True)
    price = fields.Nested(MoneySchema, required=True)


class StockAdjusted(StrictSchema):
    sku = sku_field(required=True)
    delta = Integer(required=True, validate=validate.Range(min=-MAX_ON_HAND, max=MAX_ON_HAND))
    reason = text_field(high=200, required=True)
    on_hand = Integer(required=True, validate=validate.Range(min=0, max=MAX_ON_HAND))


class ReservedItem(StrictSchema):
    sku = sku_field(required=True)
    quantity = Integer(required=True, validate=validate.Range(min=1))


class StockMoved(StrictSchema):
    order_id = id_field(required=True)
    items = fields.List(fields.Nested(ReservedItem), required=True, validate=validate.Length(min=1))


class StockRejected(StrictSchema):
    order_id = id_field(required=True)
    reason = fields.String(required=True, validate=validate.OneOf([reason.value for reason in Reason]))
    sku = sku_field(required=True)


class AboutOrder(StrictSchema):
    order_id = id_field(required=True)


LISTED = Contract("product.listed.v1", SOURCE, ProductPriced(), "A product is on sale at this price.")
CHANGED = Contract("product.changed.v1", SOURCE, ProductPriced(), "A product has another name or price.")
ADJUSTED = Contract(
    "stock.adjusted.v1", SOURCE, StockAdjusted(), "Stock was received or removed, other than by a sale."
)
RESERVED = Contract("stock.reserved.v1", SOURCE, StockMoved(), "All items of an order are reserved.")
REJECTED = Contract("stock.rejected.v1", SOURCE, StockRejected(), "Nothing is reserved: an item is not available.")
SOLD = Contract("stock.sold.v1", SOURCE, StockMoved(), "The items reserved for an order are sold.")
RELEASED = Contract("stock.released.v1", SOURCE, StockMoved(), "The items reserved for an order are available again.")
OVERDUE = Contract(
    "reservation.overdue.v1", SOURCE, AboutOrder(), "A reservation is overdue: orders is asked for the order's end."
)
CONTRACTS = (LISTED, CHANGED, ADJUSTED, RESERVED, REJECTED, SOLD, RELEASED, OVERDUE)


def product_listed(product: Product, message_context: MessageContext) -> Event:
    return _about_product(LISTED, product, message_context, {"name": product.name, "price": money(product.price)})


def product_changed(product: Product, message_context: MessageContext) -> Event:
    return _about_product(CHANGED, product, message_context, {"name": product.name, "price": money(product.price)})


def stock_adjusted(product: Product, *, delta: int, reason: str, message_context: MessageContext) -> Event:
    details = {"delta": delta, "reason": reason, "on_hand": product.stock.on_hand}
    return _about_product(ADJUSTED, product, message_context, details)


def stock_reserved(reservation: Reservation, message_context: MessageContext) -> Event:
    return _about_order(RESERVED, reservation, message_context, {"items": items(reservation)})


def stock_rejected(reservation: Reservation, refusal: Refusal, message_context: MessageContext) -> Event:
    return _about_order(REJECTED, reservation, message_context, {"reason": refusal.reason, "sku": refusal.sku})


def stock_sold(reservation: Reservation, message_context: MessageContext) -> Event:
    return _about_order(SOLD, reservation, message_context, {"items": items(reservation)})


def stock_released(reservation: Reservation, message_context: MessageContext) -> Event:
    return _about_order(RELEASED, reservation, message_context, {"items": items(reservation)})


def reservation_overdue(reservation: Reservation, message_context: MessageContext) -> Event:
    return _about_order(OVERDUE, reservation, message_context, {})


def money(value: Money) -> dict[str, Any]:
    return {"amount": value.amount, "currency": value.currency}


def items(reservation: Reservation) -> list[dict[str, Any]]:
    return [{"sku": line.sku, "quantity": line.quantity} for line in reservation.lines]


def _about_product(
    contract: Contract, product: Product, message_context: MessageContext, details: dict[str, Any]
) -> Event:
    data = {"sku": product.sku} | details
    return contract.event(subject=product.sku, sequence=product.version, data=data, message_context=message_context)


def _about_order(
    contract: Contract, reservation: Reservation, message_context: MessageContext, details: dict[str, Any]
) -> Event:
    order_id = reservation.order_id
    data = {"order_id": order_id} | details
    return contract.event(
        subject=order_id, sequence=reservation.version, data=data, message_context=message_context, order_id=order_id
    )
