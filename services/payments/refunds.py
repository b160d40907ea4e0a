"""The rules of refunds, and the retry schedule after a refusal. Pure.

A cancelled order's refund is tried `REFUND_TRIES` times, with exponential backoff: each wait is `BACKOFF_FACTOR` times
the one before, the first is `REFUND_RETRY_SECONDS` (60, 180, 540 and 1,620 s: 40 minutes). Then it needs manual review
(`is_open`: an open case, at `/payments/standing-cases`): nothing is tried until an operator requests another try, or
records how the money was returned. So does a refund that the provider leaves open for a day.
A refund that an operator requests is tried once: the operator sees the refusal, and may repeat the request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from common.errors import Conflict, Rejected
from services.payments.domain import Refusal, after_refund

if TYPE_CHECKING:
    from common.money import Money
    from services.payments.domain import Payment

REFUND_TRIES = 5
UNDECIDED_SECONDS = 24 * 3600.0  # a refund undecided for longer requires an operator
UNDECIDED = "undecided"
BACKOFF_FACTOR = 3


class NotRefundableError(Conflict):
    """Nothing to refund: not captured (yet), or fully refunded."""

    code = "payment_not_refundable"


class OtherCurrencyError(Rejected):
    """A payment is refunded in its own currency."""

    code = "currency_mismatch"


class AmountExceedsRemainingError(Conflict):
    """More than the captured amount that is neither refunded nor being refunded."""

    code = "amount_exceeds_remaining"


def check_refund(payment: Payment, being_refunded: int, requested: Money | None) -> int:
    """The amount to refund; without `requested` the rest. Raises the three errors above."""
    remaining = payment.remaining - being_refunded
    if remaining <= 0:
        raise NotRefundableError("nothing is left to refund")
    if requested is None:
        return remaining
    if requested.currency != payment.price.currency:
        message = f"the payment was made in {payment.price.currency}"
        raise OtherCurrencyError(message)
    if requested.amount > remaining:
        message = f"only {remaining} are left to refund"
        raise AmountExceedsRemainingError(message)
    return requested.amount


def after_external_refund(payment: Payment, amount: int, *, at_provider: bool) -> Payment:
    """The payment after `amount` was returned without a refund by Holdfast."""
    elsewhere = 0 if at_provider else amount
    return replace(after_refund(payment, amount), refunded_elsewhere=payment.refunded_elsewhere + elsewhere)


def after_refusal(payment: Payment, code: str) -> Payment:
    """The payment after the provider has refused the refund that is due. The version rises if it needs review."""
    before = payment.refusal
    tries = before.tries + 1 if before else 1
    was_open = before is not None and before.is_open
    is_open = was_open or tries >= REFUND_TRIES
    refusal = Refusal(code=code, tries=tries, waits=True, is_open=is_open)
    return replace(payment, refusal=refusal, version=payment.version + (is_open and not was_open))


def after_undecided(payment: Payment) -> Payment:
    """The payment after the provider has not decided the refund for too long."""
    before = payment.refusal
    if not payment.is_owed or (before and before.is_open):
        return payment
    refusal = Refusal(code=UNDECIDED, tries=before.tries if before else 1, waits=True, is_open=True)
    return replace(payment, refusal=refusal, version=payment.version + 1)


def backoff_seconds(refusal: Refusal, first_seconds: float) -> float | None:
    """The pause after this refusal; None: until an operator decides."""
    return None if refusal.is_open else first_seconds * BACKOFF_FACTOR ** (refusal.tries - 1)


def after_retry_request(payment: Payment) -> Payment:
    """The payment after an operator has requested a retry now. After another refusal it needs manual review again."""
    if payment.refusal is None or not payment.refusal.waits:
        return payment
    refusal = replace(payment.refusal, waits=False, is_open=False, retry_at=None, standing_since=None)
    return replace(payment, refusal=refusal, version=payment.version + 1)
