"""Refundable amounts, and the retries of a refused refund."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import Money
from services.payments import domain, refunds
from services.payments.domain import Payment, Refusal, Status, Step
from services.payments.refunds import (
    REFUND_TRIES,
    AmountExceedsRemainingError,
    NotRefundableError,
    OtherCurrencyError,
)
from services.payments.tests.test_domain import TERMS, captured, payment


@given(
    amounts=st.lists(st.integers(min_value=1, max_value=2500) | st.none(), max_size=8),
    being_refunded=st.integers(min_value=0, max_value=1999),
)
def test_refunds_never_exceed_the_captured_amount(amounts: list[int | None], being_refunded: int) -> None:
    made = captured()
    for amount in amounts:
        left = made.remaining - being_refunded
        requested = None if amount is None else Money(amount, "usd")
        if left <= 0:
            with pytest.raises(NotRefundableError):
                refunds.check_refund(made, being_refunded, requested)
        elif amount is not None and amount > left:
            with pytest.raises(AmountExceedsRemainingError):
                refunds.check_refund(made, being_refunded, requested)
        else:
            granted = refunds.check_refund(made, being_refunded, requested)
            assert granted == (amount or left)
            made = domain.after_refund(made, granted)
    assert made.refunded + made.remaining == 1999
    assert made.refunded <= 1999 - being_refunded
    assert (made.status is Status.REFUNDED) == (made.refunded == 1999)


def test_a_payment_is_refunded_in_its_own_currency() -> None:
    with pytest.raises(OtherCurrencyError):
        refunds.check_refund(captured(), 0, Money(1, "eur"))


@pytest.mark.parametrize("status", [Status.PENDING, Status.DECLINED, Status.CANCELLED, Status.REFUNDED])
def test_a_payment_without_captured_money_cannot_be_refunded(status: Status) -> None:
    made = payment(terms=TERMS, status=status, refunded=1999 if status is Status.REFUNDED else 0)
    with pytest.raises(NotRefundableError):
        refunds.check_refund(made, 0, None)


def owed() -> Payment:
    return captured(cancel_requested=True)


def test_a_refused_refund_is_retried_and_then_becomes_an_open_case() -> None:
    made, pauses = owed(), []
    for number in range(1, REFUND_TRIES + 1):
        assert domain.next_step(made) is Step.REFUND
        made = refunds.after_refusal(made, "charge_disputed")
        assert made.refusal is not None
        assert made.refusal.tries == number
        assert domain.next_step(made) is Step.NOTHING
        pauses.append(refunds.backoff_seconds(made.refusal, 60))
        if number < REFUND_TRIES:
            made = refunds.after_retry_request(made)  # like after the pause
            made = domain.after_intent(made, domain.Intent("pi", domain.IntentState.OPEN))
    assert pauses == [60, 180, 540, 1620, None]
    assert made.refusal is not None
    assert made.refusal.is_open


def test_an_open_case_is_reported_once() -> None:
    made = captured(cancel_requested=True, refusal=refused(REFUND_TRIES - 1))
    case = refunds.after_refusal(made, "charge_disputed")
    assert case.version == made.version + 1
    assert refunds.after_refusal(case, "charge_disputed").version == case.version


def test_a_retry_is_reported_and_another_refusal_opens_the_case_again() -> None:
    case = captured(cancel_requested=True, refusal=refused(REFUND_TRIES, is_open=True))
    again = refunds.after_retry_request(case)
    assert (again.version, domain.next_step(again)) == (case.version + 1, Step.REFUND)
    assert refunds.after_retry_request(again) == again
    refused_again = refunds.after_refusal(again, "charge_disputed")
    assert refused_again.refusal is not None
    assert (refused_again.refusal.is_open, refused_again.version) == (True, again.version + 1)


def test_returned_money_closes_the_case() -> None:
    case = captured(cancel_requested=True, refusal=refused(REFUND_TRIES, is_open=True))
    part = refunds.after_external_refund(case, 500, at_provider=False)
    assert (part.refusal, part.refunded, part.refunded_elsewhere) == (case.refusal, 500, 500)
    rest = refunds.after_external_refund(part, 1499, at_provider=True)
    assert (rest.status, rest.refusal, rest.refunded, rest.refunded_elsewhere) == (Status.REFUNDED, None, 1999, 500)


def refused(tries: int, *, is_open: bool = False) -> Refusal:
    return Refusal(code="charge_disputed", tries=tries, waits=is_open, is_open=is_open)
