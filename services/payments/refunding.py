"""Refunds by operators: a transaction, the provider, a second transaction.

The refund is recorded first and counted against the rest, so that concurrent refunds stay within the captured amount.
Its id is the lease's resource: a repetition of an interrupted request finds it, and the provider is asked for the same
refund again, not for another one. A refund whose request is not repeated is finished by the next settlement of the
payment (`settlement.finish_refunds`).
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from common.errors import Conflict, Contention
from common.messaging.events import new_id, utc_now
from common.storage.postgresql import transaction
from common.web.idempotency_lease import RequestLease, begin
from services.payments import ledger, models, refunds
from services.payments.domain import Payment, Refund, RefundKind, RefundStatus
from services.payments.outcomes import write_refund
from services.payments.settlement import request_refund
from services.payments.usecases import require_payment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    from common.messaging.events import MessageContext
    from common.money import Money
    from common.web.idempotency import Reply, RequestKey
    from services.payments.resources import Resources

# Longer than one refund's calls to the provider, if each waits for its time-out.
LEASE_SECONDS = 40.0


class ProviderRefusedRefundError(Conflict):
    """The provider refuses the refund, for example because the account's balance is too low."""

    code = "refund_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """Without `amount`, the rest."""

    payment_id: str
    amount: Money | None
    reason: str


def refund_payment(
    resources: Resources,
    requested: RefundRequest,
    *,
    request_key: RequestKey | None,
    render: Callable[[Payment, Refund], dict[str, Any]],
    message_context: MessageContext,
) -> Reply:
    """Raises `ProviderRefusedRefundError`, and the errors of `refunds.check_refund`."""
    with transaction(resources.engine) as connection:
        lease = begin(connection, request_key, resource_id=new_id(), seconds=LEASE_SECONDS)
        if lease.reply:
            return lease.reply
        payment, refund = _record_refund(connection, lease.resource_id, requested)
    if refund.status is RefundStatus.PENDING:
        with release_lease_on_outage(resources.engine, lease):
            refund = request_refund(resources.provider, payment, refund)
    with transaction(resources.engine) as connection:
        locked = models.lock(connection, payment.id)
        pause = resources.provider.refund_retry_seconds
        if refund.status is RefundStatus.PENDING:
            payment = locked
        else:
            payment = write_refund(connection, locked, refund, message_context, pause_seconds=pause)
        if refund.status is not RefundStatus.FAILED:  # a sweep finishes a pending one
            return lease.finish(connection, 201, render(payment, refund))
        lease.release(connection)
    message = f"the payment provider refuses this refund: {refund.code}"
    raise ProviderRefusedRefundError(message)


def _record_refund(connection: Connection, refund_id: str, requested: RefundRequest) -> tuple[Payment, Refund]:
    """Record the refund unless an earlier attempt of the same request has; returns it with its payment."""
    require_payment(models.get(connection, requested.payment_id))
    payment = models.lock(connection, requested.payment_id)
    earlier = ledger.get(connection, refund_id)
    if earlier is not None:
        return payment, earlier
    being_refunded = sum(refund.amount for refund in ledger.pending(connection, payment.id))
    refund = Refund(
        id=refund_id,
        payment_id=payment.id,
        amount=refunds.check_refund(payment, being_refunded, requested.amount),
        status=RefundStatus.PENDING,
        kind=RefundKind.OPERATOR,
        reason=requested.reason,
        created_at=utc_now(),
    )
    ledger.insert(connection, refund)
    return payment, refund


@contextmanager
def release_lease_on_outage(engine: Engine, lease: RequestLease) -> Iterator[None]:
    """After an error, release the lease, so that the next repetition of the request continues at once."""
    try:
        yield
    except Exception:
        with (
            suppress(SQLAlchemyError, Contention),
            transaction(engine) as connection,
        ):  # else the lease expires
            lease.hand_over(connection)
        raise
