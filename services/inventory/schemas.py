"""The bodies and queries of the inventory API."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from common.money import Money
from common.schemas import MAX_AMOUNT, Integer, MoneySchema, StrictSchema, sku_field, text_field
from common.web.pagination import PageQuerySchema
from services.inventory.domain import MAX_ON_HAND


class PriceSchema(MoneySchema):
    """Money greater than zero."""

    amount = Integer(required=True, validate=validate.Range(min=1, max=MAX_AMOUNT))

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Money:
        return Money(**values)


def name_field(**options: Any) -> fields.String:
    return text_field(high=200, metadata={"example": "A red kettle"}, **options)


class NewProductSchema(StrictSchema):
    sku = sku_field(required=True, metadata={"example": "KETTLE-RED"})
    name = name_field(required=True)
    price = fields.Nested(PriceSchema, required=True)
    on_hand = Integer(required=True, validate=validate.Range(min=0, max=MAX_ON_HAND))


class ProductChangeSchema(StrictSchema):
    """Omitted fields do not change."""

    name = name_field()
    price = fields.Nested(PriceSchema)


def not_zero(value: int) -> None:
    if value == 0:
        raise ValidationError("Must not be 0.")


class StockAdjustmentSchema(StrictSchema):
    delta = Integer(
        required=True,
        validate=[validate.Range(min=-MAX_ON_HAND, max=MAX_ON_HAND), not_zero],
        metadata={"description": "quantity received, or (negative) removed", "not": {"const": 0}},
    )
    reason = text_field(high=200, required=True, metadata={"example": "delivery"})


class ProductSchema(Schema):
    sku = fields.String(required=True)
    name = fields.String(required=True)
    price = fields.Nested(MoneySchema, required=True)
    on_hand = fields.Integer(required=True)
    reserved = fields.Integer(required=True, metadata={"description": "reserved for open orders"})
    available = fields.Integer(required=True, metadata={"description": "on_hand minus reserved"})
    sold = fields.Integer(required=True)
    version = fields.Integer(required=True, metadata={"description": "the number of events about this product"})


class ProductsQuerySchema(PageQuerySchema):
    starting_after = sku_field(metadata={"description": "the last sku seen"})
