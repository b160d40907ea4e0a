"""The locks of a transaction that handles several orders: all at once and in one order, before anything is changed.

The order is that of `models.py`: reservations first, then products by sku. So two such transactions never wait for each
other, whatever products their orders share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_LOCK_STOCK = text("""
    WITH held AS MATERIALIZED (
        SELECT items FROM reservations WHERE order_id = ANY(CAST(:order_ids AS uuid[])) ORDER BY order_id FOR UPDATE
    )
    SELECT FROM products WHERE sku = ANY(ARRAY(
        SELECT unnest(CAST(:skus AS text[])) UNION
        SELECT item ->> 'sku' FROM held, jsonb_array_elements(items) AS item
    )) ORDER BY sku FOR UPDATE
""")


def lock_stock(connection: Connection, *, skus: Sequence[str], order_ids: Sequence[str]) -> None:
    """Hold until the transaction ends these orders' reservations, and these products and the reserved ones."""
    connection.execute(_LOCK_STOCK, {"skus": list(skus), "order_ids": list(order_ids)})
