"""Decisions for facts in any order and number, and for any response of the provider."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import Money
from services.payments import domain
from services.payments.domain import Intent, IntentState, Payment, Refusal, Status, Step, Terms

ORDER = "01928f6e-7c1a-7b30-9a55-3c1d0e5f7a10"
TERMS = Terms("customer-1", Money(1999, "usd"), "pm_card_visa")
FACTS = {"known", "reserved", "cancelled"}


def payment(**changes: Any) -> Payment:
    made = Payment(id="p1", order_id=ORDER, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Payment(**({name: getattr(made, name) for name in Payment.__slots__} | changes))


def change(made: Payment, **changes: Any) -> Payment:
    return payment(**({name: getattr(made, name) for name in Payment.__slots__} | changes))


def captured(**changes: Any) -> Payment:
    return payment(terms=TERMS, stock_reserved=True, status=Status.CAPTURED, provider_id="pi", version=1, **changes)


def refused(*, waits: bool) -> Refusal:
    return Refusal(code="charge_disputed", tries=1, waits=waits, is_open=False)


@pytest.mark.parametrize(
    ("made", "step"),
    [
        (payment(), Step.NOTHING),
        (payment(terms=TERMS), Step.NOTHING),
        (payment(stock_reserved=True), Step.NOTHING),
        (payment(terms=TERMS, stock_reserved=True), Step.CHARGE),
        (payment(terms=TERMS, stock_reserved=True, provider_id="pi"), Step.CHARGE),
        (payment(cancel_requested=True), Step.CLOSE),
        (payment(terms=TERMS, stock_reserved=True, cancel_requested=True), Step.CLOSE),
        (payment(terms=TERMS, stock_reserved=True, cancel_requested=True, provider_id="pi"), Step.RELEASE),
        (payment(terms=TERMS, status=Status.DECLINED, decline_code="x"), Step.NOTHING),
        (payment(terms=TERMS, status=Status.DECLINED, decline_code="x", provider_id="pi"), Step.RELEASE),
        (payment(terms=TERMS, status=Status.DECLINED, decline_code="x", provider_id="pi", closed=True), Step.NOTHING),
        (captured(), Step.NOTHING),
        (captured(cancel_requested=True), Step.REFUND),
        (change(captured(), status=Status.PARTIALLY_REFUNDED, refunded=1), Step.NOTHING),
        (change(captured(cancel_requested=True), status=Status.PARTIALLY_REFUNDED, refunded=1), Step.REFUND),
        (change(captured(cancel_requested=True), status=Status.REFUNDED, refunded=1999), Step.NOTHING),
        (captured(cancel_requested=True, refusal=refused(waits=True)), Step.NOTHING),
        (captured(cancel_requested=True, refusal=refused(waits=False)), Step.REFUND),
        (payment(status=Status.CANCELLED, cancel_requested=True, stock_reserved=True, terms=TERMS), Step.NOTHING),
    ],
)
def test_the_next_step_follows_from_the_facts(made: Payment, step: Step) -> None:
    assert domain.next_step(made) is step


class Provider:
    """A simulated provider with one card and at most one intent."""

    def __init__(self, refuses: str | None) -> None:
        self._refuses = refuses
        self.state: IntentState | None = None
        self.refunded = 0

    def confirm(self) -> Intent:
        if self.state in (None, IntentState.OPEN):
            self.state = IntentState.REFUSED if self._refuses else IntentState.SUCCEEDED
        return self.retrieve()

    def cancel(self) -> Intent:
        if self.state is not IntentState.SUCCEEDED:
            self.state = IntentState.CANCELED
        return self.retrieve()

    def retrieve(self) -> Intent:
        assert self.state is not None
        return Intent("pi", self.state, self._refuses if self.state is IntentState.REFUSED else None)

    @property
    def holds(self) -> int:
        return TERMS.amount.amount - self.refunded if self.state is IntentState.SUCCEEDED else 0


def receive(made: Payment, fact: str) -> Payment:
    if fact == "known":
        return change(made, terms=TERMS)
    return change(made, **{"stock_reserved" if fact == "reserved" else "cancel_requested": True})


def happen(made: Payment, provider: Provider, event: str) -> Payment:
    if event in FACTS:
        return receive(made, event)
    if event == "step":
        return take_step(made, provider)
    if domain.next_step(made) is not Step.CHARGE:
        return made
    provider.state = provider.state or IntentState.OPEN
    if event == "crash after confirm":
        provider.confirm()
    return change(made, provider_id="pi")


def take_step(made: Payment, provider: Provider) -> Payment:
    step = domain.next_step(made)
    if step is Step.CHARGE:
        return domain.after_intent(change(made, provider_id="pi"), provider.confirm())
    if step is Step.CLOSE:
        return domain.after_intent(made, Intent(None, IntentState.CANCELED))
    if step is Step.RELEASE:
        return domain.after_intent(made, provider.cancel())
    if step is Step.REFUND:
        provider.refunded += made.remaining
        return domain.after_refund(made, made.remaining)
    return made


@given(
    events=st.lists(st.sampled_from([*sorted(FACTS), "step", "attach", "crash after confirm"]), max_size=25),
    refuses=st.sampled_from([None, "card_declined"]),
)
def test_any_history_ends_in_the_state_that_the_facts_require(events: list[str], refuses: str | None) -> None:
    made, provider, incoming = payment(), Provider(refuses), FACTS & set(events)
    for event in [*events, *["step"] * 5]:
        before = made
        made = happen(made, provider, event)
        assert made.version - before.version in (0, 1)
    assert domain.next_step(made) is Step.NOTHING
    assert made.remaining == provider.holds
    assert made.refunded == provider.refunded
    if "cancelled" in incoming:
        assert provider.holds == 0
        assert made.status in {Status.CANCELLED, Status.DECLINED, Status.REFUNDED}
    elif incoming >= {"known", "reserved"}:
        assert made.status is (Status.DECLINED if refuses else Status.CAPTURED)
        assert made.version == 1
    else:
        assert (made.status, made.version) == (Status.PENDING, 0)
    assert (made.decline_code is not None) == (made.status is Status.DECLINED)


@given(st.sampled_from(list(Status)), st.booleans())
def test_captured_money_is_recorded_in_any_status(status: Status, cancel_requested: bool) -> None:
    code = "x" if status is Status.DECLINED else None
    made = payment(terms=TERMS, status=status, decline_code=code, cancel_requested=cancel_requested, provider_id="pi")
    after = domain.after_intent(made, Intent("pi", IntentState.SUCCEEDED))
    if status in {Status.PENDING, Status.DECLINED, Status.CANCELLED}:
        assert (after.status, after.version, after.decline_code) == (Status.CAPTURED, 1, None)
        assert domain.next_step(after) is (Step.REFUND if cancel_requested else Step.NOTHING)
    else:
        assert after == made


def test_an_intent_canceled_at_the_provider_is_a_decline() -> None:
    made = payment(terms=TERMS, stock_reserved=True, provider_id="pi")
    after = domain.after_intent(made, Intent("pi", IntentState.CANCELED))
    assert (after.status, after.decline_code, after.closed, after.version) == (
        Status.DECLINED,
        "canceled_at_provider",
        True,
        1,
    )
