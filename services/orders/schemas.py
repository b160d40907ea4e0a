"""The bodies of the orders API."""

from __future__ import annotations

from collections import Counter
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates

from common.schemas import Integer, Moment, MoneySchema, StrictSchema, id_field, sku_field, text_field
from common.web.pagination import PageQuerySchema
from services.orders.domain import CancelReason, Status

MAX_LINES = 100
MAX_QUANTITY = 10_000
_MOMENT = {"format": "date-time"}
STATUSES = [status.value for status in Status]


class WantedItemSchema(StrictSchema):
    sku = sku_field(required=True)
    quantity = Integer(required=True, validate=validate.Range(min=1, max=MAX_QUANTITY))
    unit_price = fields.Nested(MoneySchema, metadata={"description": "the price that the customer saw"})


class PlaceOrderSchema(StrictSchema):
    items = fields.List(fields.Nested(WantedItemSchema), required=True, validate=validate.Length(min=1, max=MAX_LINES))
    payment_method = text_field(
        high=255,
        pattern=r"[A-Za-z0-9_-]+",
        required=True,
        metadata={"description": "a payment method of the provider", "example": "pm_card_visa"},
    )

    @validates("items")
    def each_sku_once(self, items: list[Any], **_: Any) -> None:
        # Malformed items also reach this check: their own fields report them.
        skus = Counter(item["sku"] for item in items if isinstance(item, dict) and isinstance(item.get("sku"), str))
        twice = sorted(sku for sku, count in skus.items() if count > 1)
        if twice:
            message = f"Each sku once: {', '.join(twice)}."
            raise ValidationError(message)


class OrderItemSchema(Schema):
    sku = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price = fields.Nested(MoneySchema, required=True)


class OrderSchema(Schema):
    id = fields.String(required=True)
    customer_id = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    cancel_reason = fields.String(
        required=True, allow_none=True, validate=validate.OneOf([reason.value for reason in CancelReason])
    )
    items = fields.List(fields.Nested(OrderItemSchema), required=True)
    total = fields.Nested(MoneySchema, required=True)
    payment_method = fields.String(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    version = fields.Integer(required=True, metadata={"description": "the number of events of this order"})


class OrdersQuerySchema(PageQuerySchema):
    status = fields.String(load_default=None, validate=validate.OneOf(STATUSES))
    customer_id = id_field(load_default=None, metadata={"description": "for operators: orders of one customer"})
    sku = sku_field(load_default=None, metadata={"description": "orders with this product in them"})
    since = Moment(load_default=None, metadata=_MOMENT | {"description": "orders placed from this time on"})
    until = Moment(load_default=None, metadata=_MOMENT | {"description": "orders placed before this time"})
