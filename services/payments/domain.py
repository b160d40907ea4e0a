"""Payments and their next steps. Pure: no I/O, no clock, no randomness.

    pending -> captured -> partially_refunded -> refunded
    pending -> declined
    pending -> cancelled (not charged, and not chargeable any more)

Three facts decide, and they arrive late, twice and in any order: the order is known, its stock is reserved, its
cancellation is requested. `next_step` returns the next step from the current payment towards those facts;
`after_intent` and `after_refund` return the payment after a response of the provider. Captured money is recorded in
any status: first the fact, then the compensation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from common.money import Money

CANCELLED_AT_PROVIDER = "canceled_at_provider"


class Status(StrEnum):
    PENDING = "pending"
    CAPTURED = "captured"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


_NOTHING_TAKEN = (Status.PENDING, Status.DECLINED, Status.CANCELLED)


class Step(StrEnum):
    """The next step. Each ends in a transaction; all but NOTHING and CLOSE call the provider before it."""

    NOTHING = "nothing"
    CHARGE = "charge"  # create the intent, confirm it
    CLOSE = "close"  # there is no intent: nothing to undo
    RELEASE = "release"  # cancel the intent, or find that it has succeeded
    REFUND = "refund"  # refund the rest


class IntentState(StrEnum):
    """The state of an intent at the provider, as far as decisions need it."""

    OPEN = "open"  # may be confirmed
    SUCCEEDED = "succeeded"
    REFUSED = "refused"  # was not charged, and will not be without another card
    CANCELED = "canceled"  # can never be charged


class RefundStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundKind(StrEnum):
    OPERATOR = "operator"
    COMPENSATION = "compensation"


@dataclass(frozen=True, slots=True)
class Terms:
    """The order's data: customer, amount, and the provider's payment method."""

    customer_id: str
    amount: Money
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The provider refuses the refund of a cancelled order.

    `waits`: no try is due now. `is_open`: it needs manual review, no automatic tries.
    """

    code: str
    tries: int
    waits: bool
    is_open: bool
    retry_at: datetime | None = None
    standing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """`version` is the number of events published. `closed`: its intent is canceled at the provider.

    `refunded_elsewhere` is the part of `refunded` that an operator has recorded and the provider does not know.
    `refund_pending` is set where a payment is read to be shown (`ledger.with_refund_pending`). Nothing depends on it.
    """

    id: str
    order_id: str
    terms: Terms | None = None
    stock_reserved: bool = False
    cancel_requested: bool = False
    status: Status = Status.PENDING
    refunded: int = 0
    refunded_elsewhere: int = 0
    refund_pending: int = 0
    refusal: Refusal | None = None
    decline_code: str | None = None
    provider_id: str | None = None
    closed: bool = False
    version: int = 0
    created_at: datetime

    @property
    def price(self) -> Money:
        """The total of the order; only a known order has one."""
        if self.terms is None:
            raise ValueError("the order of this payment is not known yet")
        return self.terms.amount

    @property
    def remaining(self) -> int:
        """The captured amount that is not refunded, in minor units."""
        held = self.status in (Status.CAPTURED, Status.PARTIALLY_REFUNDED)
        return self.price.amount - self.refunded if held else 0

    @property
    def is_owed(self) -> bool:
        """The order is cancelled, and its money is not refunded yet."""
        return self.cancel_requested and self.remaining > 0

    @property
    def refund_waits(self) -> bool:
        return self.refusal is not None and self.refusal.waits


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent at the provider; `id` is None if it refused to create one."""

    id: str | None
    state: IntentState
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    id: str
    payment_id: str
    amount: int
    status: RefundStatus
    kind: RefundKind
    reason: str
    provider_id: str | None = None
    code: str | None = None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalRefund:
    """Money returned without a refund by Holdfast, as recorded by an operator.

    `provider_refund_id` names the refund if it was made directly at the provider, which was queried for it.
    """

    id: str
    payment_id: str
    amount: int
    reason: str
    reference: str | None
    provider_refund_id: str | None
    recorded_by: str
    recorded_at: datetime


def next_step(payment: Payment) -> Step:
    if payment.status in (Status.CAPTURED, Status.PARTIALLY_REFUNDED):
        return Step.REFUND if payment.cancel_requested and not payment.refund_waits else Step.NOTHING
    if payment.status is Status.DECLINED:
        # Its intent must not succeed later.
        return Step.RELEASE if payment.provider_id and not payment.closed else Step.NOTHING
    return _next_step_of_pending(payment) if payment.status is Status.PENDING else Step.NOTHING


def _next_step_of_pending(payment: Payment) -> Step:
    if payment.cancel_requested:
        return Step.RELEASE if payment.provider_id else Step.CLOSE
    return Step.CHARGE if payment.terms and payment.stock_reserved else Step.NOTHING


def after_intent(payment: Payment, intent: Intent) -> Payment:
    """The payment after its intent was read as `intent`; the version rises if there is an event."""
    if intent.state is IntentState.SUCCEEDED:
        return _captured(payment)
    if intent.state is IntentState.CANCELED:
        return _canceled(payment)
    if intent.state is IntentState.REFUSED and payment.status is Status.PENDING:
        return _declined(payment, intent.code or "declined")
    return payment


def after_refund(payment: Payment, amount: int) -> Payment:
    """The payment after a refund of `amount`."""
    remaining = payment.remaining - amount
    return replace(
        payment,
        refunded=payment.refunded + amount,
        status=Status.PARTIALLY_REFUNDED if remaining > 0 else Status.REFUNDED,
        refusal=payment.refusal if remaining > 0 else None,
        version=payment.version + 1,
    )


def _captured(payment: Payment) -> Payment:
    if payment.status not in _NOTHING_TAKEN:
        return payment
    return replace(payment, status=Status.CAPTURED, decline_code=None, version=payment.version + 1)


def _declined(payment: Payment, code: str) -> Payment:
    return replace(payment, status=Status.DECLINED, decline_code=code, version=payment.version + 1)


def _canceled(payment: Payment) -> Payment:
    if payment.status not in _NOTHING_TAKEN:
        return payment
    if payment.status is Status.PENDING and not payment.cancel_requested:
        # Canceled at the provider, not by Holdfast: the order cannot be paid.
        payment = _declined(payment, CANCELLED_AT_PROVIDER)
    if payment.status is Status.PENDING:
        payment = replace(payment, status=Status.CANCELLED)
    return replace(payment, closed=True)
