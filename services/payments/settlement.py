"""Settles a payment: brings the provider and the row to the state that the facts require.

The only procedure that moves money.

`settle` reads the row, takes the step of `domain.next_step`, and repeats until no step is left. No remote call is made
inside a transaction. The provider's response is written under the row's lock and guarded by the row's state, so any
number of workers may settle the same payment concurrently and may die at any point: the next one reads the intent
before it acts. After recording a cancellation a worker settles until no money is captured; after confirming an intent a
worker finds the cancellation when it writes the capture. So one of the two refunds. A refused refund stores its count
and the time of the next try in the row; `refunds.py` has the schedule. It does not wait for a provider that has not
decided: it raises `Undecided`, and the event is redelivered later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from common.errors import Transient
from common.messaging.events import new_id, utc_now
from common.messaging.inbox import AlreadyHandled, Delivery, once
from common.observability.logs import logger
from common.resilience.crash_points import crash_point
from common.storage.postgresql import autocommit, transaction
from services.payments import domain, ledger, models, outcomes
from services.payments.domain import Intent, IntentState, Payment, Refund, RefundKind, RefundStatus, Step
from services.payments.stripe_mapping import ProviderUndecidedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from common.messaging.events import MessageContext
    from services.payments.provider import Provider
    from services.payments.resources import Resources

    Change = Callable[[Connection, Payment], Payment]

MAX_STEPS = 8
COMPENSATION_REASON = "order_cancelled"
_log = logger(__name__)


def settle(
    resources: Resources, payment: Payment, message_context: MessageContext, delivery: Delivery | None = None
) -> Payment:
    """Settle `payment`. The last transaction marks `delivery` as handled.

    Raises `AlreadyHandled` at the end for a delivery that was handled before.
    """
    record = Record(resources, message_context, delivery)
    for _ in range(MAX_STEPS):
        step = domain.next_step(payment)
        if step is Step.NOTHING:
            record.close()
            return payment
        payment = _STEPS[step](resources.provider, record, payment)
        _log.info("payment settling", step=step, order_id=payment.order_id, status=payment.status)
    message = f"payment {payment.id} did not settle in {MAX_STEPS} steps"
    raise Transient(message)


class Record:
    """Records the provider's responses. Each method is one transaction."""

    def __init__(self, resources: Resources, message_context: MessageContext, delivery: Delivery | None = None) -> None:
        self._engine, self._pause_seconds = resources.engine, resources.provider.refund_retry_seconds
        self._message_context, self._delivery = message_context, delivery
        self._is_duplicate = False

    def attach(self, payment: Payment, provider_id: str) -> Payment:
        """Commit the intent's id: only then it may be confirmed."""
        with autocommit(self._engine) as connection:
            return models.attach(connection, payment, provider_id)

    def record_intent(self, payment: Payment, intent: Intent) -> Payment:
        """Record the state of the payment's intent."""

        def change(connection: Connection, locked: Payment) -> Payment:
            return outcomes.write_intent(connection, locked, intent, self._message_context)

        return self._write(payment, domain.after_intent(payment, intent), change)

    def create_compensation(self, payment: Payment) -> tuple[Payment, list[Refund]]:
        """Record a refund of the rest, unless one of that kind is pending.

        Returns the payment, and every pending refund.
        """
        with transaction(self._engine) as connection:
            locked = models.lock(connection, payment.id)
            owed = ledger.pending(connection, payment.id)
            remaining_amount = locked.remaining - sum(refund.amount for refund in owed)
            is_tried = any(refund.kind is RefundKind.COMPENSATION for refund in owed)
            if remaining_amount > 0 and not is_tried and not locked.refund_waits:
                owed.append(_compensation(payment, remaining_amount))
                ledger.insert(connection, owed[-1])
            return locked, owed

    def refunded(self, payment: Payment, refund: Refund) -> Payment:
        """Record that `refund` has ended at the provider, with its status."""

        def change(connection: Connection, locked: Payment) -> Payment:
            return outcomes.write_refund(
                connection, locked, refund, self._message_context, pause_seconds=self._pause_seconds
            )

        return self._write(payment, outcomes.after_refund(payment, refund), change)

    def close(self) -> None:
        """Mark the delivery as handled, if no transaction has done it yet."""
        if self._is_duplicate:
            raise AlreadyHandled
        if self._delivery is not None:
            with once(self._engine, self._delivery):
                pass

    def _write(self, payment: Payment, expected: Payment, change: Change) -> Payment:
        if self._delivery is not None and domain.next_step(expected) is Step.NOTHING:
            delivery, self._delivery = self._delivery, None
            try:
                with once(self._engine, delivery) as connection:
                    return change(connection, models.lock(connection, payment.id))
            except AlreadyHandled:
                self._is_duplicate = True  # but the provider's response must be recorded
        with transaction(self._engine) as connection:
            return change(connection, models.lock(connection, payment.id))


def request_refund(provider: Provider, payment: Payment, refund: Refund) -> Refund:
    """Request the refund at the provider; returns its final state, or its current one while it is undecided."""
    provider_id, status, code = provider.refund(_intent_of(payment), refund)
    return replace(refund, provider_id=provider_id, status=status, code=code)


def decided(refund: Refund) -> Refund:
    """Returns the refund. Raises `ProviderUndecidedError` while it is undecided."""
    if refund.status is RefundStatus.PENDING:
        message = f"the payment provider has not decided: refund {refund.provider_id} is pending"
        raise ProviderUndecidedError(message)
    return refund


def finish_refunds(resources: Resources, payment: Payment, message_context: MessageContext) -> Payment:
    """Finish every pending refund of `payment`."""
    record = Record(resources, message_context)
    with autocommit(resources.engine) as connection:
        pending = ledger.pending(connection, payment.id)
    for refund in pending:
        payment = record.refunded(payment, decided(request_refund(resources.provider, payment, refund)))
    return payment


def charge(provider: Provider, record: Record, payment: Payment) -> tuple[Payment, Intent | None]:
    """Charge the payment at the provider; returns its intent, which is to be recorded. None: it was superseded."""
    intent = begin_charge(provider, payment)
    if payment.provider_id is None and intent.id is not None:
        payment = record.attach(payment, intent.id)
        crash_point("payments.attached")
        if not may_confirm(payment, intent):
            return payment, None
    return payment, finish_charge(provider, intent)


def begin_charge(provider: Provider, payment: Payment) -> Intent:
    """The payment's intent: a new one, which is to be attached, or the one that it has."""
    if payment.terms is None:
        raise ValueError("only a known order can be charged")
    if payment.provider_id is not None:
        return provider.retrieve(payment.provider_id)
    crash_point("payments.creating")
    intent = provider.create(payment, payment.terms)
    crash_point("payments.created")
    return intent


def may_confirm(payment: Payment, intent: Intent) -> bool:
    """Whether this intent is attached and still needed; one that was superseded is never confirmed."""
    return payment.provider_id == intent.id and domain.next_step(payment) is Step.CHARGE


def finish_charge(provider: Provider, intent: Intent) -> Intent:
    """Confirm the attached intent, if that was not done before."""
    if intent.id is not None and intent.state is IntentState.OPEN:
        intent = provider.confirm(intent.id)
        crash_point("payments.confirmed")
    return intent


def _charge(provider: Provider, record: Record, payment: Payment) -> Payment:
    payment, intent = charge(provider, record, payment)
    return payment if intent is None else record.record_intent(payment, intent)


def _close(_provider: Provider, record: Record, payment: Payment) -> Payment:
    return record.record_intent(payment, Intent(None, IntentState.CANCELED))


def _release(provider: Provider, record: Record, payment: Payment) -> Payment:
    intent = provider.cancel(_intent_of(payment))
    crash_point("payments.cancelled")
    return record.record_intent(payment, intent)


def _refund(provider: Provider, record: Record, payment: Payment) -> Payment:
    payment, owed = record.create_compensation(payment)  # another worker may have refunded it
    crash_point("payments.refund_owed")
    for refund in owed:
        done = decided(request_refund(provider, payment, refund))
        crash_point("payments.refunded")
        payment = record.refunded(payment, done)
    return payment


def _compensation(payment: Payment, amount: int) -> Refund:
    return Refund(
        id=new_id(),
        payment_id=payment.id,
        amount=amount,
        status=RefundStatus.PENDING,
        kind=RefundKind.COMPENSATION,
        reason=COMPENSATION_REASON,
        created_at=utc_now(),
    )


def _intent_of(payment: Payment) -> str:
    if payment.provider_id is None:
        raise ValueError("this payment has no intent at the provider")
    return payment.provider_id


_STEPS = {Step.CHARGE: _charge, Step.CLOSE: _close, Step.RELEASE: _release, Step.REFUND: _refund}
