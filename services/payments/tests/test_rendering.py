"""The API's representations match its schemas."""

from __future__ import annotations

from datetime import UTC, datetime

from common.money import Money
from services.payments.domain import Payment, Refund, RefundKind, RefundStatus, Refusal, Status, Terms
from services.payments.rechecks import Outcome, ReCheck
from services.payments.rendering import render_payment, render_re_check, render_refund
from services.payments.schemas import PaymentSchema, ReCheckSchema, RefundSchema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAYMENT = Payment(
    id="p1",
    order_id="o1",
    terms=Terms("c1", Money(1999, "usd"), "pm_card_visa"),
    status=Status.CAPTURED,
    refund_pending=500,
    refusal=Refusal(code="declined", tries=2, waits=True, is_open=False, retry_at=NOW),
    created_at=NOW,
)


def test_a_payment_and_a_re_check_have_every_field_of_their_schemas() -> None:
    shown = render_payment(PAYMENT)
    assert set(shown) == set(PaymentSchema().fields)
    assert shown["refund_pending"] == {"amount": 500, "currency": "usd"}
    assert set(shown["refund_refusal"]) == {"code", "tries", "retry_at", "standing_since"}
    check = render_re_check(ReCheck(PAYMENT, Outcome.UNDECIDED, Status.CAPTURED, NOW))
    assert set(check) == set(ReCheckSchema().fields)
    assert (check["outcome"], check["checked_at"][:10]) == ("undecided", "2026-01-01")


def test_a_refund_has_every_field_of_its_schema() -> None:
    refund = Refund(
        id="r1",
        payment_id="p1",
        amount=500,
        status=RefundStatus.PENDING,
        kind=RefundKind.OPERATOR,
        reason="broken",
        created_at=NOW,
    )
    assert set(render_refund(PAYMENT, refund)) == set(RefundSchema().fields)
