"""The table of payments and its queries. `migrations/` creates it; only this context reads it. Refunds are in
`ledger.py`.

A row is created with the first fact of an order, in any order of facts, so it may be incomplete: it is not visible
before the order is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import TextClause, text

from common.messaging.events import new_id
from common.money import Money
from common.storage.statements import statement
from services.payments.domain import Payment, Refusal, Status, Terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

COLUMNS = (
    "id::text AS id, order_id::text AS order_id, order_known, stock_reserved, cancel_requested, customer_id, amount, "
    "currency, method, status, refunded, refunded_elsewhere, refusals, refusal_code, refund_due_at, standing_since, "
    "coalesce(standing_since IS NOT NULL OR refund_due_at > clock_timestamp(), false) AS refund_waits, "
    "decline_code, provider_id, closed, version, created_at"
)

# A fact returns the resulting row, in one statement and one transaction: the second of two facts sees both.
_RECORD_ORDER = statement(
    """
    INSERT INTO payments AS known (id, order_id, order_known, customer_id, amount, currency, method)
    VALUES (:id, :order_id, true, :customer_id, :amount, :currency, :method)
    ON CONFLICT (order_id) DO UPDATE
    SET order_known = true,
        updated_at = clock_timestamp(),
        looks = 0,
        customer_id = coalesce(known.customer_id, excluded.customer_id),
        amount = coalesce(known.amount, excluded.amount),
        currency = coalesce(known.currency, excluded.currency),
        method = coalesce(known.method, excluded.method)
    RETURNING {columns}
    """,
    columns=COLUMNS,
)
_RECORD_RESERVED = statement(
    """
    INSERT INTO payments (id, order_id, stock_reserved) VALUES (:id, :order_id, true)
    ON CONFLICT (order_id) DO UPDATE SET stock_reserved = true, updated_at = clock_timestamp(), looks = 0
    RETURNING {columns}
    """,
    columns=COLUMNS,
)
_RECORD_CANCELLED = statement(
    """
    INSERT INTO payments (id, order_id, cancel_requested) VALUES (:id, :order_id, true)
    ON CONFLICT (order_id) DO UPDATE SET cancel_requested = true, updated_at = clock_timestamp(), looks = 0
    RETURNING {columns}
    """,
    columns=COLUMNS,
)
# Only an intent whose id is committed is ever confirmed, and none is once the cancellation is known.
_ATTACH = statement(
    """
    UPDATE payments SET provider_id = :provider_id, updated_at = clock_timestamp()
    WHERE id = :id AND provider_id IS NULL AND status = 'pending' AND NOT cancel_requested
    RETURNING {columns}
    """,
    columns=COLUMNS,
)
# A confirmed order keeps its money: no action is needed, and orders is not asked any more.
_RECORD_CONFIRMED = text("""
    INSERT INTO payments (id, order_id, order_confirmed) VALUES (:id, :order_id, true)
    ON CONFLICT (order_id) DO UPDATE SET order_confirmed = true
""")
# By the partial indexes payments_waiting and payments_unended, which volatile clock_timestamp() could not bound.
# Each time the wait doubles, up to 64 times as long.
_ASK = """
    UPDATE payments SET asks = least(asks + 1, 6), asked_at = clock_timestamp(), version = version + 1
    WHERE id IN (
        SELECT id FROM payments
        WHERE {condition} AND {since} < statement_timestamp() - make_interval(secs => :seconds)
          AND greatest(asked_at, {since}) < statement_timestamp() - make_interval(secs => :seconds * 2 ^ asks)
        ORDER BY {since} LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING {columns}
"""
_ASK_ABOUT = [
    statement(_ASK, columns=COLUMNS, condition=condition, since=since)
    for condition, since in (
        ("status = 'pending' AND order_known AND NOT stock_reserved AND NOT cancel_requested", "created_at"),
        (
            "status IN ('captured', 'partially_refunded') AND NOT order_confirmed AND NOT cancel_requested",
            "updated_at",
        ),
    )
]
_GET = statement("SELECT {columns} FROM payments WHERE id = :id", columns=COLUMNS)
_OF_ORDER = statement("SELECT {columns} FROM payments WHERE order_id = :order_id", columns=COLUMNS)
_LOCK = statement("SELECT {columns} FROM payments WHERE id = :id FOR UPDATE", columns=COLUMNS)
_LIST = statement(
    """
    SELECT {columns} FROM payments
    WHERE order_known
      AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
      AND (CAST(:order_id AS uuid) IS NULL OR order_id = CAST(:order_id AS uuid))
      AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
    ORDER BY payments.id DESC LIMIT :limit
    """,
    columns=COLUMNS,
)
_CHANGE = text("""
    UPDATE payments SET status = :status, refunded = :refunded, refunded_elsewhere = :refunded_elsewhere,
                        decline_code = :decline_code, closed = :closed, version = :version,
                        refusals = :refusals, refusal_code = :refusal_code,
                        refund_due_at = CASE WHEN :waits THEN refund_due_at END,
                        standing_since = CASE WHEN :waits THEN standing_since END,
                        asks = CASE WHEN status = :status THEN asks ELSE 0 END,
                        updated_at = clock_timestamp(), looks = 0
    WHERE id = :id
""")


def record_order(connection: Connection, order_id: str, terms: Terms) -> Payment:
    """The order is known. The first values are kept."""
    values = {
        "customer_id": terms.customer_id,
        "amount": terms.amount.amount,
        "currency": terms.amount.currency,
        "method": terms.method,
    }
    return _record(connection, _RECORD_ORDER, order_id, values)


def record_reserved(connection: Connection, order_id: str) -> Payment:
    return _record(connection, _RECORD_RESERVED, order_id, {})


def record_cancelled(connection: Connection, order_id: str) -> Payment:
    return _record(connection, _RECORD_CANCELLED, order_id, {})


def attach(connection: Connection, payment: Payment, provider_id: str) -> Payment:
    """Set the payment's intent, if it still needs one and has none; returns the resulting payment."""
    row = connection.execute(_ATTACH, {"id": payment.id, "provider_id": provider_id}).mappings().first()
    return to_payment(row) if row else to_payment(connection.execute(_GET, {"id": payment.id}).mappings().one())


def record_confirmed(connection: Connection, order_id: str) -> None:
    connection.execute(_RECORD_CONFIRMED, {"id": new_id(), "order_id": order_id})


def ask_about_overdue(connection: Connection, *, quiet_seconds: float, limit: int) -> list[Payment]:
    """Overdue payments of orders without progress or end, with their version raised.

    At most `limit` of either kind; each is returned again after twice the time.
    """
    values = {"seconds": quiet_seconds, "limit": limit}
    return [to_payment(row) for ask in _ASK_ABOUT for row in connection.execute(ask, values).mappings()]


def get(connection: Connection, payment_id: str) -> Payment | None:
    row = connection.execute(_GET, {"id": payment_id}).mappings().first()
    return to_payment(row) if row else None


def of_order(connection: Connection, order_id: str) -> Payment | None:
    row = connection.execute(_OF_ORDER, {"order_id": order_id}).mappings().first()
    return to_payment(row) if row else None


def lock(connection: Connection, payment_id: str) -> Payment:
    """The existing payment, locked until the transaction ends."""
    return to_payment(connection.execute(_LOCK, {"id": payment_id}).mappings().one())


def page(
    connection: Connection, *, customer_id: str | None, order_id: str | None, before: str | None, limit: int
) -> list[Payment]:
    """Payments of known orders, newest first; of one customer, or of all."""
    values = {"customer_id": customer_id, "order_id": order_id, "before": before, "limit": limit}
    return [to_payment(row) for row in connection.execute(_LIST, values).mappings()]


def change(connection: Connection, payment: Payment) -> None:
    """Write the domain's decision. Facts, refusals and `provider_id` have their own statements."""
    connection.execute(
        _CHANGE,
        {
            "id": payment.id,
            "status": payment.status,
            "refunded": payment.refunded,
            "refunded_elsewhere": payment.refunded_elsewhere,
            "refusals": payment.refusal.tries if payment.refusal else 0,
            "refusal_code": payment.refusal.code if payment.refusal else None,
            "waits": payment.refund_waits,
            "decline_code": payment.decline_code,
            "closed": payment.closed,
            "version": payment.version,
        },
    )


def _record(connection: Connection, statement: TextClause, order_id: str, values: dict[str, Any]) -> Payment:
    row = connection.execute(statement, values | {"id": new_id(), "order_id": order_id}).mappings().one()
    return to_payment(row)


def to_payment(row: Mapping[Any, Any]) -> Payment:
    terms = None
    if row["order_known"]:
        terms = Terms(row["customer_id"], Money(row["amount"], row["currency"]), row["method"])
    refusal = None
    if row["refusals"]:
        refusal = Refusal(
            code=row["refusal_code"],
            tries=row["refusals"],
            waits=row["refund_waits"],
            is_open=row["standing_since"] is not None,
            retry_at=row["refund_due_at"],
            standing_since=row["standing_since"],
        )
    return Payment(
        id=row["id"],
        order_id=row["order_id"],
        terms=terms,
        stock_reserved=row["stock_reserved"],
        cancel_requested=row["cancel_requested"],
        status=Status(row["status"]),
        refunded=row["refunded"],
        refunded_elsewhere=row["refunded_elsewhere"],
        refusal=refusal,
        decline_code=row["decline_code"],
        provider_id=row["provider_id"],
        closed=row["closed"],
        version=row["version"],
        created_at=row["created_at"],
    )
