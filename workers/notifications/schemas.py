"""What notifications reads of foreign events: whose order it is."""

from __future__ import annotations

from common.schemas import TolerantSchema, text_field


class CustomersOrder(TolerantSchema):
    customer_id = text_field(high=64, required=True)
