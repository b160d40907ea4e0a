"""The table of refunds and its queries, and which payments are unfinished. `migrations/` makes it.

A refund is written down as `pending` before the provider is asked for it: what is pending counts as given away, so that
several at once never exceed what was captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from services.payments.domain import Refund, RefundKind, RefundStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

_COLUMNS = "id::text AS id, payment_id::text AS payment_id, amount, status, kind, reason, provider_id, created_at"
_INSERT = text("""
    INSERT INTO refunds (id, payment_id, amount, status, kind, reason, created_at)
    VALUES (:id, :payment_id, :amount, :status, :kind, :reason, :created_at)
""")
_GET = text(f"SELECT {_COLUMNS} FROM refunds WHERE id = :id")  # noqa: S608 - constants
_PENDING = text(f"""
    SELECT {_COLUMNS} FROM refunds WHERE payment_id = :payment_id AND status = 'pending' ORDER BY refunds.id
""")  # noqa: S608 - constants
_CONCLUDE = text("""
    UPDATE refunds SET status = :status, provider_id = :provider_id, updated_at = clock_timestamp()
    WHERE id = :id AND status = 'pending'
""")
# The condition of the partial index payments_unsettled, word for word, so that the planner may use it.
UNSETTLED = """
    (status = 'pending' AND (cancel_requested OR (order_known AND stock_reserved)))
    OR (status IN ('captured', 'partially_refunded') AND cancel_requested)
    OR (status = 'declined' AND provider_id IS NOT NULL AND NOT closed)
"""
_UNSETTLED = text(f"""
    (SELECT order_id::text FROM payments
     WHERE ({UNSETTLED}) AND updated_at < clock_timestamp() - make_interval(secs => :seconds)
     ORDER BY updated_at LIMIT :limit)
    UNION
    (SELECT payments.order_id::text FROM refunds JOIN payments ON payments.id = refunds.payment_id
     WHERE refunds.status = 'pending' AND refunds.updated_at < clock_timestamp() - make_interval(secs => :seconds)
     ORDER BY refunds.updated_at LIMIT :limit)
""")  # noqa: S608 - constants
# To the end of the line, so that one which cannot be finished does not keep the others from their turn.
_POSTPONE = text("""
    WITH touched AS (
        UPDATE payments SET updated_at = clock_timestamp() WHERE order_id = :order_id RETURNING id
    )
    UPDATE refunds SET updated_at = clock_timestamp()
    WHERE status = 'pending' AND payment_id IN (SELECT id FROM touched)
""")


def insert(connection: Connection, refund: Refund) -> None:
    connection.execute(
        _INSERT,
        {
            "id": refund.id,
            "payment_id": refund.payment_id,
            "amount": refund.amount,
            "status": refund.status,
            "kind": refund.kind,
            "reason": refund.reason,
            "created_at": refund.created_at,
        },
    )


def get(connection: Connection, refund_id: str) -> Refund | None:
    row = connection.execute(_GET, {"id": refund_id}).mappings().first()
    return _refund(row) if row else None


def pending(connection: Connection, payment_id: str) -> list[Refund]:
    """The oldest first."""
    return [_refund(row) for row in connection.execute(_PENDING, {"payment_id": payment_id}).mappings()]


def conclude(connection: Connection, refund: Refund) -> bool:
    """Write how a pending refund ended; False if that is written already."""
    values = {"id": refund.id, "status": refund.status, "provider_id": refund.provider_id}
    return connection.execute(_CONCLUDE, values).rowcount == 1


def unsettled(connection: Connection, *, idle_seconds: float, limit: int) -> list[str]:
    """Orders whose payment or refund is not where it is to be, and that nobody has touched for a while."""
    rows = connection.execute(_UNSETTLED, {"seconds": idle_seconds, "limit": limit})
    return [order_id for (order_id,) in rows]


def postpone(connection: Connection, order_id: str) -> None:
    """Count what is unsettled about the order as touched now."""
    connection.execute(_POSTPONE, {"order_id": order_id})


def _refund(row: Mapping[Any, Any]) -> Refund:
    return Refund(
        id=row["id"],
        payment_id=row["payment_id"],
        amount=row["amount"],
        status=RefundStatus(row["status"]),
        kind=RefundKind(row["kind"]),
        reason=row["reason"],
        provider_id=row["provider_id"],
        created_at=row["created_at"],
    )
