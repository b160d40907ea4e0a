"""What the archive reads of foreign events: whose order it is, to know who may see its timeline."""

from __future__ import annotations

from common.schemas import TolerantSchema, text_field


class CustomersOrder(TolerantSchema):
    customer_id = text_field(high=64, required=True)
