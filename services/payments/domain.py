"""What a payment is and what is to be done about it. Pure: no I/O, no clock, no randomness.

    pending -> captured -> partially_refunded -> refunded
    pending -> declined
    pending -> cancelled (nothing was charged, and nothing can be any more)

Three facts decide, and they arrive late, twice and in any order: the order is known, its stock is reserved, its
cancellation is requested. `next_step` says what is missing between a payment as it is and as those facts want it;
`after_looking` and `after_refund` say what a payment becomes once the provider has spoken. Money that the provider
took is recorded whatever the payment's status was: the truth first, the compensation after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from common.errors import Conflict, Rejected

if TYPE_CHECKING:
    from datetime import datetime

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
    """What to do next. Each ends in a transaction; all but NOTHING and CLOSE talk to the provider before it."""

    NOTHING = "nothing"
    CHARGE = "charge"  # make the intent, confirm it
    CLOSE = "close"  # there is no intent: nothing to undo
    RELEASE = "release"  # cancel the intent, or learn that it has succeeded
    REFUND = "refund"  # give back all that is left


class IntentState(StrEnum):
    """How an intent stands at the provider, as far as a decision hangs on it."""

    OPEN = "open"  # may be confirmed
    SUCCEEDED = "succeeded"
    REFUSED = "refused"  # was not charged, and will not be unless somebody brings another card
    CANCELED = "canceled"  # can never be charged


class RefundStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundKind(StrEnum):
    OPERATOR = "operator"
    COMPENSATION = "compensation"


@dataclass(frozen=True, slots=True)
class Money:
    """Integer minor units of a lower-case ISO 4217 currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the order said: whom to charge, how much, and by what method of the provider."""

    customer_id: str
    amount: Money
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """`version` is the number of events published. `closed`: the provider said that its intent is canceled."""

    id: str
    order_id: str
    terms: Terms | None = None
    stock_reserved: bool = False
    cancel_requested: bool = False
    status: Status = Status.PENDING
    refunded: int = 0
    decline_code: str | None = None
    provider_id: str | None = None
    closed: bool = False
    version: int = 0
    created_at: datetime

    @property
    def price(self) -> Money:
        """What the order costs; only a known order has a price."""
        if self.terms is None:
            raise ValueError("the order of this payment is not known yet")
        return self.terms.amount

    @property
    def remaining(self) -> int:
        """What is captured and not refunded, in minor units."""
        held = self.status in (Status.CAPTURED, Status.PARTIALLY_REFUNDED)
        return self.price.amount - self.refunded if held else 0


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent as the provider shows it; `id` is None where it refused to make one."""

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
    created_at: datetime


class NotRefundableError(Conflict):
    """Nothing of it is held: not captured (yet), or refunded in full."""

    code = "payment_not_refundable"


class OtherCurrencyError(Rejected):
    """A payment is refunded in its own currency."""

    code = "currency_mismatch"


class AmountExceedsRemainingError(Conflict):
    """More than what is captured and neither refunded nor being refunded."""

    code = "amount_exceeds_remaining"


def next_step(payment: Payment) -> Step:
    if payment.status in (Status.CAPTURED, Status.PARTIALLY_REFUNDED):
        return Step.REFUND if payment.cancel_requested else Step.NOTHING
    if payment.status is Status.DECLINED:
        # Its intent must not succeed later, by whatever way.
        return Step.RELEASE if payment.provider_id and not payment.closed else Step.NOTHING
    return _next_step_of_pending(payment) if payment.status is Status.PENDING else Step.NOTHING


def _next_step_of_pending(payment: Payment) -> Step:
    if payment.cancel_requested:
        return Step.RELEASE if payment.provider_id else Step.CLOSE
    return Step.CHARGE if payment.terms and payment.stock_reserved else Step.NOTHING


def after_looking(payment: Payment, intent: Intent) -> Payment:
    """The payment once its intent was seen as `intent`; the version rises where there is something to tell."""
    if intent.state is IntentState.SUCCEEDED:
        return _captured(payment)
    if intent.state is IntentState.CANCELED:
        return _canceled(payment)
    if intent.state is IntentState.REFUSED and payment.status is Status.PENDING:
        return _declined(payment, intent.code or "declined")
    return payment


def check_refund(payment: Payment, being_refunded: int, wanted: Money | None) -> int:
    """The amount to refund; without `wanted` all that is left. Raises the three errors above."""
    left = payment.remaining - being_refunded
    if left <= 0:
        raise NotRefundableError("nothing of this payment is left to refund")
    if wanted is None:
        return left
    if wanted.currency != payment.price.currency:
        message = f"the payment was made in {payment.price.currency}"
        raise OtherCurrencyError(message)
    if wanted.amount > left:
        message = f"only {left} are left to refund"
        raise AmountExceedsRemainingError(message)
    return wanted.amount


def after_refund(payment: Payment, amount: int) -> Payment:
    """The payment once `amount` of it was given back."""
    left = payment.remaining - amount
    status = Status.PARTIALLY_REFUNDED if left > 0 else Status.REFUNDED
    return replace(payment, refunded=payment.refunded + amount, status=status, version=payment.version + 1)


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
        # Nobody here asked for it: somebody did at the provider, so the order cannot be paid.
        payment = _declined(payment, CANCELLED_AT_PROVIDER)
    if payment.status is Status.PENDING:
        payment = replace(payment, status=Status.CANCELLED)
    return replace(payment, closed=True)
