"""The notifications worker's reader of events of other contexts: the customer of an order."""

from __future__ import annotations

from common.schemas import TolerantSchema, text_field


class CustomersOrder(TolerantSchema):
    customer_id = text_field(high=64, required=True)
