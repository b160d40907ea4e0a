"""The contract: published events match the golden samples, with which the consumers are tested."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from common.messaging.events import Contract, Event, InvalidEventError, MessageContext, from_json
from common.money import Money
from services.payments import domain, producers, refunds
from services.payments.domain import (
    ExternalRefund,
    Intent,
    IntentState,
    Payment,
    Refund,
    RefundKind,
    RefundStatus,
    Refusal,
    Terms,
)

SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
MOMENT = datetime(2026, 11, 2, 9, 15, 10, tzinfo=UTC)
PAYMENT = Payment(
    id="01928f6e-7d02-7a41-8b66-1f2e3d4c5b6a",
    order_id="01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10",
    terms=Terms("01928f6d-11aa-7c21-8d43-5b7e9f00c2d1", Money(4648, "usd"), "pm_card_visa"),
    stock_reserved=True,
    provider_id="pi_3",
    created_at=MOMENT,
)
REFUND = Refund(
    id="01928f70-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
    payment_id=PAYMENT.id,
    amount=1999,
    status=RefundStatus.SUCCEEDED,
    kind=RefundKind.OPERATOR,
    reason="broken on arrival",
    created_at=MOMENT,
)
OPERATOR = "01928f6c-0002-7c21-8d43-5b7e9f00c2d2"
RECORDED = ExternalRefund(
    id="01928f9b-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
    payment_id=PAYMENT.id,
    amount=1999,
    reason="returned by bank transfer",
    reference="TRF-2026-1102-7",
    provider_refund_id=None,
    recorded_by=OPERATOR,
    recorded_at=MOMENT,
)


def made(message_context: MessageContext) -> list[Event]:
    captured = domain.after_intent(PAYMENT, Intent("pi_3", IntentState.SUCCEEDED))
    declined = domain.after_intent(PAYMENT, Intent("pi_3", IntentState.REFUSED, "insufficient_funds"))
    return [
        *producers.charge_outcome(PAYMENT, captured, message_context),
        *producers.charge_outcome(PAYMENT, declined, message_context),
        producers.payment_overdue(replace(PAYMENT, provider_id=None, version=1), message_context),
        producers.payment_refunded(domain.after_refund(captured, REFUND.amount), REFUND, message_context),
        *refused(captured, message_context),
        producers.refund_recorded(
            refunds.after_external_refund(captured, RECORDED.amount, at_provider=False), RECORDED, message_context
        ),
    ]


def refused(captured: Payment, message_context: MessageContext) -> list[Event]:
    tried = Refusal(code="charge_disputed", tries=refunds.REFUND_TRIES - 1, waits=False, is_open=False)
    case = refunds.after_refusal(replace(captured, cancel_requested=True, refusal=tried), "charge_disputed")
    again = refunds.after_retry_request(case)
    return [
        producers.refund_refused(case, message_context),
        producers.refund_retried(
            again, reason="the dispute was won", requested_by=OPERATOR, message_context=message_context
        ),
    ]


@pytest.mark.parametrize("contract", producers.CONTRACTS, ids=lambda contract: contract.type)
def test_published_events_match_the_golden_samples(contract: Contract) -> None:
    sample = from_json((SAMPLES / f"{contract.type}.json").read_bytes())
    message_context = MessageContext(sample.correlationid, sample.causationid, sample.traceparent)
    (event,) = [event for event in made(message_context) if event.type == contract.type]
    expected = sample.to_document() | {"id": event.id, "time": event.time}
    assert from_json(event.to_json()).to_document() == expected


@pytest.mark.parametrize("contract", producers.CONTRACTS, ids=lambda contract: contract.type)
def test_an_event_that_violates_its_contract_is_not_published(contract: Contract) -> None:
    data = from_json((SAMPLES / f"{contract.type}.json").read_bytes()).data
    for bad in (
        {},
        data | {"more": 1},
        data | {"amount": 4648},
        *({name: value for name, value in data.items() if name != left} for left in data),
    ):
        with pytest.raises(InvalidEventError):
            contract.event(subject="x", sequence=1, data=bad, message_context=MessageContext("test"))


def test_without_a_change_there_is_no_event() -> None:
    assert producers.charge_outcome(PAYMENT, PAYMENT, MessageContext("test")) == []
