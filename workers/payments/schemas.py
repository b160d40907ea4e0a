"""Payments' readers of events of other contexts: only the fields it uses."""

from __future__ import annotations

from marshmallow import fields

from common.schemas import TolerantMoneySchema, TolerantSchema, id_field, text_field


class OrderPlaced(TolerantSchema):
    order_id = id_field(required=True)
    customer_id = text_field(high=64, required=True)
    total = fields.Nested(TolerantMoneySchema, required=True)
    payment_method = text_field(high=255, required=True)


class AboutOrder(TolerantSchema):
    order_id = id_field(required=True)
