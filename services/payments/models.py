"""The table of payments and its queries. `migrations/` creates it; only this context reads it. `facts.py` creates rows,
refunds are in `ledger.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.money import Money
from common.storage.locked_rows import LockedRows
from common.storage.statements import columns, statement
from services.payments.domain import Payment, Refusal, Status, Terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

COLUMNS = (
    "id::text AS id, order_id::text AS order_id, order_known, stock_reserved, cancel_requested, customer_id, amount, "
    "currency, method, status, refunded, refunded_elsewhere, refusals, refusal_code, refund_due_at, standing_since, "
    "coalesce(standing_since IS NOT NULL OR refund_due_at > clock_timestamp(), false) AS refund_waits, "
    "decline_code, provider_id, closed, version, created_at"
)

# Every statement that locks several payments locks them in the order of their orders, as `facts.record` must.
# Only an intent whose id is committed is ever confirmed, and none is once the cancellation is known.
_ATTACH = statement(
    """
    WITH intents AS (
        SELECT payments.id AS payment, intent
        FROM payments JOIN unnest(CAST(:ids AS uuid[]), CAST(:intents AS text[])) AS new (payment, intent)
            ON payments.id = new.payment
        ORDER BY payments.order_id FOR UPDATE OF payments
    )
    UPDATE payments SET provider_id = intent, updated_at = clock_timestamp() FROM intents
    WHERE id = payment AND provider_id IS NULL AND status = 'pending' AND NOT cancel_requested
    RETURNING {columns}
    """,
    columns=COLUMNS,
)
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
_CHANGED = (
    *("id", "status", "refunded", "refunded_elsewhere", "decline_code"),
    *("closed", "version", "refusals", "refusal_code", "waits"),
)
_GET = statement("SELECT {columns} FROM payments WHERE id = :id", columns=COLUMNS)
_OF_ORDER = statement("SELECT {columns} FROM payments WHERE order_id = :order_id", columns=COLUMNS)
_LOCK = statement(
    "SELECT {columns} FROM payments WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY payments.order_id FOR UPDATE",
    columns=COLUMNS,
)
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
    UPDATE payments
    SET status = changed.status, refunded = changed.refunded, refunded_elsewhere = changed.refunded_elsewhere,
        decline_code = changed.decline_code, closed = changed.closed, version = changed.version,
        refusals = changed.refusals, refusal_code = changed.refusal_code,
        refund_due_at = CASE WHEN changed.waits THEN payments.refund_due_at END,
        standing_since = CASE WHEN changed.waits THEN payments.standing_since END,
        asks = CASE WHEN changed.status = payments.status THEN payments.asks ELSE 0 END,
        updated_at = clock_timestamp(), looks = 0
    FROM unnest(CAST(:id AS uuid[]), CAST(:status AS text[]), CAST(:refunded AS bigint[]),
                CAST(:refunded_elsewhere AS bigint[]), CAST(:decline_code AS text[]), CAST(:closed AS boolean[]),
                CAST(:version AS bigint[]), CAST(:refusals AS integer[]), CAST(:refusal_code AS text[]),
                CAST(:waits AS boolean[]))
        AS changed (id, status, refunded, refunded_elsewhere, decline_code, closed, version, refusals,
                    refusal_code, waits)
    WHERE payments.id = changed.id
""")


def attach(connection: Connection, payment: Payment, provider_id: str) -> Payment:
    """Set the payment's intent, if it still needs one and has none; returns the resulting payment."""
    attached = attach_all(connection, {payment.id: provider_id}).get(payment.id)
    return attached or to_payment(connection.execute(_GET, {"id": payment.id}).mappings().one())


def attach_all(connection: Connection, intents: Mapping[str, str]) -> dict[str, Payment]:
    """Like `attach`, for provider ids by payment; returns the payments whose intent was set, by id."""
    rows = connection.execute(_ATTACH, {"ids": list(intents), "intents": list(intents.values())}).mappings()
    return {row["id"]: to_payment(row) for row in rows}


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
    payment = _ROWS.get(connection, payment_id)
    if payment is None:
        message = f"there is no payment {payment_id}"
        raise LookupError(message)
    return payment


def together(connection: Connection, payment_ids: Iterable[str]) -> AbstractContextManager[None]:
    """Around changes of these payments: lock them by one statement, and write them by one."""
    return _ROWS.together(connection, payment_ids)


def page(
    connection: Connection, *, customer_id: str | None, order_id: str | None, before: str | None, limit: int
) -> list[Payment]:
    """Payments of known orders, newest first; of one customer, or of all."""
    values = {"customer_id": customer_id, "order_id": order_id, "before": before, "limit": limit}
    return [to_payment(row) for row in connection.execute(_LIST, values).mappings()]


def change(connection: Connection, payment: Payment) -> None:
    """Write the domain's decision. Facts, refusals and `provider_id` have their own statements."""
    values = {
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
    }
    _ROWS.change(connection, payment.id, payment, values)


def _lock(connection: Connection, payment_ids: Sequence[str]) -> dict[str, Payment]:
    rows = connection.execute(_LOCK, {"ids": payment_ids}).mappings()
    return {row["id"]: to_payment(row) for row in rows}


def _write(connection: Connection, changes: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(_CHANGE, columns(changes, *_CHANGED))


_ROWS = LockedRows("payments", _lock, _write)


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
