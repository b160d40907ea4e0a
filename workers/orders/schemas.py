"""Orders' readers of events of other contexts: only the fields it uses."""

from __future__ import annotations

from marshmallow import fields

from common.schemas import TolerantMoneySchema, TolerantSchema, id_field, sku_field, text_field


class ProductPriced(TolerantSchema):
    sku = sku_field(required=True)
    name = text_field(high=200, required=True)
    price = fields.Nested(TolerantMoneySchema, required=True)


class AboutOrder(TolerantSchema):
    order_id = id_field(required=True)
