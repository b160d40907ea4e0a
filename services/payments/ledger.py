"""The tables of refunds and their queries, and the unfinished payments. `migrations/` creates them.

A refund is recorded as `pending` before the provider is called: pending refunds count as refunded, so that concurrent
ones never exceed the captured amount.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.storage.statements import statement
from services.payments.domain import Refund, RefundKind, RefundStatus
from services.payments.models import COLUMNS as PAYMENT_COLUMNS
from services.payments.models import to_payment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from services.payments.domain import ExternalRefund, Payment

_COLUMNS = "id::text AS id, payment_id::text AS payment_id, amount, status, kind, reason, provider_id, code, created_at"
_INSERT = text("""
    INSERT INTO refunds (id, payment_id, amount, status, kind, reason, created_at)
    VALUES (:id, :payment_id, :amount, :status, :kind, :reason, :created_at)
""")
_GET = statement("SELECT {columns} FROM refunds WHERE id = :id", columns=_COLUMNS)
_PENDING = statement(
    """
    SELECT {columns} FROM refunds WHERE payment_id = :payment_id AND status = 'pending' ORDER BY refunds.id
    """,
    columns=_COLUMNS,
)
_SUM_PENDING = text("""
    SELECT payment_id::text, sum(amount) FROM refunds
    WHERE payment_id = ANY(CAST(:payment_ids AS uuid[])) AND status = 'pending' GROUP BY payment_id
""")
_CONCLUDE = text("""
    UPDATE refunds SET status = :status, provider_id = :provider_id, code = :code, updated_at = clock_timestamp()
    WHERE id = :id AND status = 'pending'
""")
# The exact condition of the partial index payments_unsettled, so that the planner may use it.
UNSETTLED = """
    (status = 'pending' AND (cancel_requested OR (order_known AND stock_reserved)))
    OR (status IN ('captured', 'partially_refunded') AND cancel_requested)
    OR (status = 'declined' AND provider_id IS NOT NULL AND NOT closed)
"""
# The first time bound is for the index, which cannot use clock_timestamp() or a column.
_UNSETTLED = statement(
    """
    (SELECT order_id::text FROM payments
     WHERE ({unsettled}) AND updated_at < statement_timestamp() - make_interval(secs => :seconds)
       AND updated_at < statement_timestamp() - make_interval(secs => :seconds * 2 ^ looks)
       AND standing_since IS NULL AND (refund_due_at IS NULL OR refund_due_at <= clock_timestamp())
     ORDER BY updated_at LIMIT :limit)
    UNION
    (SELECT payments.order_id::text FROM refunds JOIN payments ON payments.id = refunds.payment_id
     WHERE refunds.status = 'pending'
       AND refunds.updated_at < statement_timestamp() - make_interval(secs => :seconds)
       AND refunds.updated_at < statement_timestamp() - make_interval(secs => :seconds * 2 ^ looks)
     ORDER BY refunds.updated_at LIMIT :limit)
    """,
    unsettled=UNSETTLED,
)
# Move it to the end of the queue, so that one that cannot be finished does not block the others.
_POSTPONE = text("""
    WITH touched AS (
        UPDATE payments SET updated_at = clock_timestamp() WHERE order_id = :order_id RETURNING id
    )
    UPDATE refunds SET updated_at = clock_timestamp()
    WHERE status = 'pending' AND payment_id IN (SELECT id FROM touched)
""")
# Each try that settles nothing doubles the time until the next one, up to 64 times as long.
_BACK_OFF = text("UPDATE payments SET looks = least(looks + 1, 6) WHERE order_id = :order_id")
_UNDECIDED = statement(
    """
    SELECT {payment_columns} FROM payments
    WHERE order_id = :order_id AND standing_since IS NULL AND EXISTS (
        SELECT FROM refunds WHERE payment_id = payments.id AND refunds.status = 'pending' AND kind = 'compensation'
                              AND refunds.created_at < clock_timestamp() - make_interval(secs => :seconds)
    )
    FOR UPDATE
    """,
    payment_columns=PAYMENT_COLUMNS,
)
# Without a pause it needs manual review. Concurrent refusals keep the age of the case.
_REFUSE = statement(
    """
    UPDATE payments SET refusals = :refusals, refusal_code = :code, version = :version,
                        refund_due_at = clock_timestamp() + make_interval(secs => CAST(:pause AS double precision)),
                        standing_since = CASE WHEN CAST(:pause AS double precision) IS NULL
                                         THEN coalesce(standing_since, clock_timestamp()) END,
                        updated_at = clock_timestamp(), looks = 0
    WHERE id = :id
    RETURNING {payment_columns}
    """,
    payment_columns=PAYMENT_COLUMNS,
)
_STANDING = statement(
    """
    SELECT {payment_columns} FROM payments
    WHERE standing_since IS NOT NULL AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
    ORDER BY payments.id DESC LIMIT :limit
    """,
    payment_columns=PAYMENT_COLUMNS,
)
_COUNT_STANDING = text("""
    SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - standing_since)), 0)
    FROM payments WHERE standing_since IS NOT NULL
""")
_INSERT_EXTERNAL = text("""
    INSERT INTO external_refunds
        (id, payment_id, amount, reason, reference, provider_refund_id, recorded_by, recorded_at)
    VALUES (:id, :payment_id, :amount, :reason, :reference, :provider_refund_id, :recorded_by, :recorded_at)
    ON CONFLICT (provider_refund_id) DO NOTHING
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
    """Oldest first."""
    return [_refund(row) for row in connection.execute(_PENDING, {"payment_id": payment_id}).mappings()]


def with_refund_pending(connection: Connection, payments: Sequence[Payment]) -> list[Payment]:
    """The same payments, each with the sum of its pending refunds."""
    rows = connection.execute(_SUM_PENDING, {"payment_ids": [payment.id for payment in payments]})
    sums = {payment_id: int(amount) for payment_id, amount in rows}
    return [replace(payment, refund_pending=sums.get(payment.id, 0)) for payment in payments]


def conclude(connection: Connection, refund: Refund) -> bool:
    """Write the outcome of a pending refund; False if it is already written."""
    values = {"id": refund.id, "status": refund.status, "provider_id": refund.provider_id, "code": refund.code}
    return connection.execute(_CONCLUDE, values).rowcount == 1


def unsettled(connection: Connection, *, idle_seconds: float, limit: int) -> list[str]:
    """Orders with an unsettled payment or refund that was not updated for a while."""
    rows = connection.execute(_UNSETTLED, {"seconds": idle_seconds, "limit": limit})
    return [order_id for (order_id,) in rows]


def postpone(connection: Connection, order_id: str) -> None:
    """Mark the order's unsettled payment and refunds as updated now."""
    connection.execute(_POSTPONE, {"order_id": order_id})


def back_off(connection: Connection, order_id: str) -> None:
    """The order's payment could not be settled: increase its backoff."""
    connection.execute(_BACK_OFF, {"order_id": order_id})


def undecided(connection: Connection, order_id: str, *, older_seconds: float) -> Payment | None:
    """The order's payment, locked, if its refund has been pending for too long and is not yet an open case."""
    row = connection.execute(_UNDECIDED, {"order_id": order_id, "seconds": older_seconds}).mappings().first()
    return to_payment(row) if row else None


def insert_external(connection: Connection, refund: ExternalRefund) -> bool:
    """Record money returned another way; False if that refund of the provider is already recorded."""
    return connection.execute(_INSERT_EXTERNAL, asdict(refund)).rowcount == 1


def page_of_open_cases(connection: Connection, *, before: str | None, limit: int) -> list[Payment]:
    """Payments whose refund waits for an operator, newest first."""
    rows = connection.execute(_STANDING, {"before": before, "limit": limit}).mappings()
    return [to_payment(row) for row in rows]


def count_open_cases(connection: Connection) -> tuple[int, float]:
    """The number of refunds that wait for an operator, and the waiting time of the oldest in seconds."""
    count, seconds = connection.execute(_COUNT_STANDING).one()
    return count, float(seconds)


def refuse(connection: Connection, payment: Payment, pause_seconds: float | None) -> Payment:
    """Write the refusal of `payment`, and the pause until the next try; None: until an operator decides."""
    if payment.refusal is None:
        raise ValueError("nothing was refused")
    values = {
        "id": payment.id,
        "refusals": payment.refusal.tries,
        "code": payment.refusal.code,
        "version": payment.version,
        "pause": pause_seconds,
    }
    return to_payment(connection.execute(_REFUSE, values).mappings().one())


def _refund(row: Mapping[Any, Any]) -> Refund:
    return Refund(
        id=row["id"],
        payment_id=row["payment_id"],
        amount=row["amount"],
        status=RefundStatus(row["status"]),
        kind=RefundKind(row["kind"]),
        reason=row["reason"],
        provider_id=row["provider_id"],
        code=row["code"],
        created_at=row["created_at"],
    )
