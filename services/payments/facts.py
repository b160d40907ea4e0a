"""What the events of other contexts say about the payment of an order. Facts are never taken back.

A row is created with the first fact of an order, in any order of facts, so it may be incomplete: it is not visible
before the order is known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.messaging.events import new_id
from common.storage.statements import statement
from services.payments.models import COLUMNS, to_payment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from services.payments.domain import Payment, Terms

# Facts only add up, and the statement returns the resulting rows: the second of two facts sees both. A confirmed order
# keeps its money: no action is needed, and orders is not asked again.
_RECORD = statement(
    """
    INSERT INTO payments AS known (id, order_id, order_known, customer_id, amount, currency, method,
                                   stock_reserved, cancel_requested, order_confirmed)
    SELECT * FROM jsonb_to_recordset(CAST(:facts AS jsonb)) AS facts (
        id uuid, order_id uuid, order_known boolean, customer_id text, amount bigint, currency text, method text,
        stock_reserved boolean, cancel_requested boolean, order_confirmed boolean
    )
    ORDER BY order_id
    ON CONFLICT (order_id) DO UPDATE
    SET order_known = known.order_known OR excluded.order_known,
        stock_reserved = known.stock_reserved OR excluded.stock_reserved,
        cancel_requested = known.cancel_requested OR excluded.cancel_requested,
        order_confirmed = known.order_confirmed OR excluded.order_confirmed,
        customer_id = coalesce(known.customer_id, excluded.customer_id),
        amount = coalesce(known.amount, excluded.amount),
        currency = coalesce(known.currency, excluded.currency),
        method = coalesce(known.method, excluded.method),
        updated_at = CASE WHEN {is_settled} THEN clock_timestamp() ELSE known.updated_at END,
        looks = CASE WHEN {is_settled} THEN 0 ELSE known.looks END
    RETURNING {columns}
    """,
    columns=COLUMNS,
    is_settled="excluded.order_known OR excluded.stock_reserved OR excluded.cancel_requested",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One or several facts of one order; `terms` if the order is known."""

    order_id: str
    terms: Terms | None = None
    stock_reserved: bool = False
    cancel_requested: bool = False
    order_confirmed: bool = False

    def __or__(self, other: Fact) -> Fact:
        """Both facts of the order; the first terms are kept."""
        return Fact(
            order_id=self.order_id,
            terms=self.terms or other.terms,
            stock_reserved=self.stock_reserved or other.stock_reserved,
            cancel_requested=self.cancel_requested or other.cancel_requested,
            order_confirmed=self.order_confirmed or other.order_confirmed,
        )


def order_placed(order_id: str, terms: Terms) -> Fact:
    return Fact(order_id=order_id, terms=terms)


def stock_reserved(order_id: str) -> Fact:
    return Fact(order_id=order_id, stock_reserved=True)


def order_cancelled(order_id: str) -> Fact:
    return Fact(order_id=order_id, cancel_requested=True)


def order_confirmed(order_id: str) -> Fact:
    return Fact(order_id=order_id, order_confirmed=True)


def record(connection: Connection, facts: Sequence[Fact]) -> dict[str, Payment]:
    """Add the facts, at most one for each order; returns the payments by order. First values are kept."""
    rows = connection.execute(_RECORD, {"facts": json.dumps([_values(fact) for fact in facts])}).mappings()
    return {row["order_id"]: to_payment(row) for row in rows}


def _values(fact: Fact) -> dict[str, Any]:
    terms = fact.terms
    return {
        "id": new_id(),
        "order_id": fact.order_id,
        "order_known": terms is not None,
        "customer_id": terms.customer_id if terms else None,
        "amount": terms.amount.amount if terms else None,
        "currency": terms.amount.currency if terms else None,
        "method": terms.method if terms else None,
        "stock_reserved": fact.stock_reserved,
        "cancel_requested": fact.cancel_requested,
        "order_confirmed": fact.order_confirmed,
    }
