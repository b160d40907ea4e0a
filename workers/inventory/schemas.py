"""Inventory's readers of events of other contexts: only the fields it uses."""

from __future__ import annotations

from marshmallow import fields, validate

from common.schemas import Integer, TolerantSchema, id_field, sku_field


class OrderedItem(TolerantSchema):
    sku = sku_field(required=True)
    quantity = Integer(required=True, validate=validate.Range(min=1))


class OrderPlaced(TolerantSchema):
    order_id = id_field(required=True)
    items = fields.List(fields.Nested(OrderedItem), required=True, validate=validate.Length(min=1))


class AboutOrder(TolerantSchema):
    order_id = id_field(required=True)
