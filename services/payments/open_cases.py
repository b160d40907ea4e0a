"""Refunds that the provider refuses: operators list them, retry one, or record how the money was returned.

A cancelled order's refund is retried automatically for a while (`refunds.py`); then it needs manual review until an
operator decides. Each decision is an event with the operator's name. Money recorded as returned another way is never
refunded as well: while a refund is in progress or is still retried automatically, recording is rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import Conflict, Rejected
from common.messaging import outbox
from common.messaging.events import new_id, utc_now
from common.messaging.inbox import once
from common.money import Money
from common.storage.postgresql import autocommit, transaction
from common.web.idempotency import claim
from common.web.idempotency_lease import begin
from services.payments import ledger, models, producers, refunds
from services.payments.domain import ExternalRefund, Payment
from services.payments.refunding import LEASE_SECONDS, ProviderRefusedRefundError, release_lease_on_outage
from services.payments.usecases import get_payment, require_payment, settle_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from common.messaging.events import MessageContext
    from common.messaging.inbox import Delivery
    from common.web.idempotency import Reply, RequestKey
    from services.payments.resources import Resources


class OpenCaseError(Rejected):
    """The provider refuses the refund. The event stays a dead letter until an operator decides."""

    code = "refund_refused"


class RefundUnderWayError(Conflict):
    """A refund is in progress or is still retried: recording another one could return the money twice."""

    code = "refund_under_way"


class AlreadyRecordedError(Conflict):
    """That refund of the provider is already recorded."""

    code = "refund_already_recorded"


class AmountMismatchError(Rejected):
    """That refund of the provider is of another amount."""

    code = "amount_mismatch"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRefund:
    payment_id: str
    reason: str
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRefund:
    """Money returned another way; without `amount`, the rest.

    `provider_refund_id` names a refund made directly at the provider, which is queried for its amount.
    """

    payment_id: str
    amount: Money | None
    reason: str
    reference: str | None
    provider_refund_id: str | None
    recorded_by: str


def list_open(engine: Engine, *, before: str | None, limit: int) -> list[Payment]:
    with autocommit(engine) as connection:
        found = ledger.page_of_open_cases(connection, before=before, limit=limit)
        return ledger.with_refund_pending(connection, found)


def refund_was_refused(resources: Resources, delivery: Delivery, order_id: str) -> None:
    """Succeeds after an operator has decided. Raises `OpenCaseError` until then, so that the event is a dead
    letter.
    """
    with once(resources.engine, delivery) as connection:
        payment = models.of_order(connection, order_id)
        if payment is not None and payment.refusal is not None and payment.refusal.is_open:
            message = (
                f"the provider refuses to refund {payment.remaining} {payment.price.currency} ({payment.refusal.code},"
                f" {payment.refusal.tries} tries): `holdfast payments retry-refund {payment.id}`, or record-refund"
            )
            raise OpenCaseError(message)


def retry_refund(
    resources: Resources,
    command: RetryRefund,
    *,
    request_key: RequestKey | None,
    render: Callable[[Payment], dict[str, Any]],
    message_context: MessageContext,
) -> Reply:
    """Retry the refund of a cancelled order now. Raises `NotRefundableError` and `ProviderRefusedRefundError`."""
    with transaction(resources.engine) as connection:
        lease = begin(connection, request_key, resource_id=new_id(), seconds=LEASE_SECONDS)
        if lease.reply:
            return lease.reply
        payment = _make_due(connection, command, message_context)
    with release_lease_on_outage(resources.engine, lease):
        settle_order(resources, payment.order_id, message_context)
    payment = get_payment(resources.engine, command.payment_id, customer_id=None)
    with transaction(resources.engine) as connection:
        if not payment.is_owed:
            return lease.finish(connection, 200, render(payment))
        lease.release(connection)
    reason = payment.refusal.code if payment.refusal else "it is not decided"
    message = f"the payment provider refuses this refund: {reason}"
    raise ProviderRefusedRefundError(message)


def record_refund(
    resources: Resources,
    command: RecordRefund,
    *,
    request_key: RequestKey | None,
    render: Callable[[Payment], dict[str, Any]],
    message_context: MessageContext,
) -> Reply:
    """Record that money was returned another way. Raises the errors of `refunds.check_refund`, and those above."""
    found = None
    if command.provider_refund_id:
        payment = get_payment(resources.engine, command.payment_id, customer_id=None)
        found = resources.provider.find_foreign_refund(payment.provider_id or "", command.provider_refund_id)
    with transaction(resources.engine) as connection, claim(connection, request_key) as attempt:
        if attempt.reply:
            return attempt.reply
        locked = _lock(connection, command.payment_id)
        amount = _recordable(connection, locked, command, found)
        refund = _external(command, amount)
        if not ledger.insert_external(connection, refund):
            raise AlreadyRecordedError("this refund of the provider is already recorded")
        after = refunds.after_external_refund(locked, amount, at_provider=found is not None)
        models.change(connection, after)
        outbox.add(connection, producers.refund_recorded(after, refund, message_context))
        return attempt.store(201, render(ledger.with_refund_pending(connection, [after])[0]))


def _make_due(connection: Connection, command: RetryRefund, message_context: MessageContext) -> Payment:
    payment = _lock(connection, command.payment_id)
    if not payment.is_owed:
        raise refunds.NotRefundableError("no money of a cancelled order is left to refund")
    after = refunds.after_retry_request(payment)
    if after != payment:
        models.change(connection, after)
        event = producers.refund_retried(
            after, reason=command.reason, requested_by=command.requested_by, message_context=message_context
        )
        outbox.add(connection, event)
    return after


def _recordable(connection: Connection, locked: Payment, command: RecordRefund, found: int | None) -> int:
    """The amount to record; `found` is that of the provider's own refund."""
    if found is not None:
        if command.amount is not None and command.amount.amount != found:
            message = f"that refund of the provider is of {found}"
            raise AmountMismatchError(message)
        return refunds.check_refund(locked, 0, Money(found, locked.price.currency))
    if locked.is_owed and not (locked.refusal and locked.refusal.is_open):
        raise RefundUnderWayError("the refund is still retried automatically: it cannot be recorded")
    being_refunded = sum(refund.amount for refund in ledger.pending(connection, locked.id))
    return refunds.check_refund(locked, being_refunded, command.amount)


def _external(command: RecordRefund, amount: int) -> ExternalRefund:
    return ExternalRefund(
        id=new_id(),
        payment_id=command.payment_id,
        amount=amount,
        reason=command.reason,
        reference=command.reference,
        provider_refund_id=command.provider_refund_id,
        recorded_by=command.recorded_by,
        recorded_at=utc_now(),
    )


def _lock(connection: Connection, payment_id: str) -> Payment:
    require_payment(models.get(connection, payment_id))
    return models.lock(connection, payment_id)
