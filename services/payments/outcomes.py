"""Writes what the provider has answered, into the locked row of the payment, with the events that report it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.messaging import outbox
from services.payments import domain, ledger, models, producers, refunds
from services.payments.domain import RefundKind, RefundStatus

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from common.messaging.events import MessageContext
    from services.payments.domain import Intent, Payment, Refund


def write_intent(connection: Connection, locked: Payment, intent: Intent, message_context: MessageContext) -> Payment:
    """Write the state of the payment's intent; idempotent."""
    if locked.provider_id != intent.id:
        return locked  # the response is about another intent than this payment's
    after = domain.after_intent(locked, intent)
    if after != locked:
        models.change(connection, after)
        outbox.add(connection, *producers.charge_outcome(locked, after, message_context))
    return after


def write_refund(
    connection: Connection, locked: Payment, refund: Refund, message_context: MessageContext, *, pause_seconds: float
) -> Payment:
    """Write the outcome of a refund once; idempotent. `pause_seconds` is the pause after a first refusal."""
    if not ledger.conclude(connection, refund):
        return locked
    after = after_refund(locked, refund)
    if refund.status is RefundStatus.SUCCEEDED:
        models.change(connection, after)
        outbox.add(connection, producers.payment_refunded(after, refund, message_context))
    elif after.refusal is not None and after != locked:
        after = ledger.refuse(connection, after, refunds.backoff_seconds(after.refusal, pause_seconds))
        if after.version > locked.version:
            outbox.add(connection, producers.refund_refused(after, message_context))
    return after


def open_case(connection: Connection, locked: Payment, message_context: MessageContext) -> None:
    """Open a case about an undecided refund for an operator. It is still polled."""
    after = refunds.after_undecided(locked)
    if after != locked:
        outbox.add(connection, producers.refund_refused(ledger.refuse(connection, after, None), message_context))


def after_refund(payment: Payment, refund: Refund) -> Payment:
    """The payment after the outcome of `refund`. A refund that an operator requested is not retried."""
    if refund.status is RefundStatus.SUCCEEDED:
        return domain.after_refund(payment, refund.amount)
    if refund.kind is RefundKind.COMPENSATION and payment.is_owed:
        return refunds.after_refusal(payment, refund.code or "failed")
    return payment
