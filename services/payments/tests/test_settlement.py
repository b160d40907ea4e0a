"""Settling a payment on a real database and sandbox: each card, with events once, twice and out of order."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from common.messaging.inbox import AlreadyHandled
from services.payments.tests.builders import (
    AMOUNT,
    CANCELLED,
    PLACED,
    RESERVED,
    cancel,
    check_books,
    deliver,
    delivery,
    held_by,
    new_order,
    payment_of,
    place,
    published,
    published_types,
    reserve,
    status_of,
)

if TYPE_CHECKING:
    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def test_a_reserved_order_is_charged(resources: Resources, sandbox: SandboxProcess) -> None:
    order = new_order()
    place(resources, order)
    assert status_of(resources.engine, order) == "pending"
    assert held_by(sandbox, order).intents == 0

    incoming = delivery(RESERVED, order)
    deliver(resources, RESERVED, order, incoming=incoming)
    payment = payment_of(resources.engine, order)
    assert (payment.status, payment.version, payment.decline_code) == ("captured", 1, None)
    held = held_by(sandbox, order)
    assert (held.statuses, held.net) == (("succeeded",), AMOUNT)
    (event,) = published(resources.engine, order)
    assert event.type == "payment.captured.v1"
    assert (event.orderid, event.correlationid, event.causationid) == (order, "test", incoming.event.id)
    assert event.data == {
        "order_id": order,
        "payment_id": payment.id,
        "amount": {"amount": AMOUNT, "currency": "usd"},
    }
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_unheard_of", "resource_missing"),
    ],
)
def test_a_refusal_is_a_declined_payment(resources: Resources, sandbox: SandboxProcess, method: str, code: str) -> None:
    order = new_order()
    place(resources, order, method=method)
    reserve(resources, order)
    payment = payment_of(resources.engine, order)
    assert (payment.status, payment.decline_code, payment.version) == ("declined", code, 1)
    (event,) = published(resources.engine, order)
    assert (event.type, event.data["code"]) == ("payment.declined.v1", code)
    assert event.data["amount"] == {"amount": AMOUNT, "currency": "usd"}
    held = held_by(sandbox, order)
    assert held.net == 0
    assert set(held.statuses) <= {"canceled"}  # so it cannot succeed later
    cancel(resources, order)
    assert published_types(resources.engine, order) == ["declined"]
    check_books(resources.engine, sandbox, order)


def test_an_amount_below_the_minimum_is_declined(resources: Resources, sandbox: SandboxProcess) -> None:
    for amount, code in ((0, "parameter_invalid_integer"), (49, "amount_too_small")):
        order = new_order()
        place(resources, order, amount=amount)
        reserve(resources, order)
        assert payment_of(resources.engine, order).decline_code == code
        assert held_by(sandbox, order).intents == 0


@pytest.mark.parametrize("facts", list(permutations([PLACED, RESERVED])))
def test_an_order_is_charged_once_in_any_order_of_arrival_with_duplicates(
    resources: Resources, sandbox: SandboxProcess, facts: tuple[str, ...]
) -> None:
    order = new_order()
    for fact in facts:
        incoming = delivery(fact, order)
        deliver(resources, fact, order, incoming=incoming)
        with pytest.raises(AlreadyHandled):
            deliver(resources, fact, order, incoming=incoming)
        deliver(resources, fact, order)  # a replay after the inbox was pruned
    assert published_types(resources.engine, order) == ["captured"]
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_chargeDeclined"])
@pytest.mark.parametrize("facts", list(permutations([PLACED, RESERVED, CANCELLED])))
def test_a_cancelled_order_keeps_no_money_in_any_order_of_arrival(
    resources: Resources, sandbox: SandboxProcess, facts: tuple[str, ...], method: str
) -> None:
    order = new_order()
    incoming = [(fact, delivery(fact, order)) for fact in facts]
    for fact, event in incoming:
        deliver(resources, fact, order, incoming=event, method=method)
        with pytest.raises(AlreadyHandled):
            deliver(resources, fact, order, incoming=event, method=method)
    for fact, _ in reversed(incoming):
        deliver(resources, fact, order, method=method)
    charged = facts[-1] == CANCELLED
    outcome = ["captured", "refunded"] if method == "pm_card_visa" else ["declined"]
    assert published_types(resources.engine, order) == (outcome if charged else [])
    final = "refunded" if method == "pm_card_visa" else "declined"
    assert status_of(resources.engine, order) == (final if charged else "cancelled")
    check_books(resources.engine, sandbox, order)


def test_a_refund_event_contains_the_total(resources: Resources) -> None:
    order = new_order()
    place(resources, order)
    reserve(resources, order)
    cancel(resources, order)
    captured, refunded = published(resources.engine, order)
    money = {"amount": AMOUNT, "currency": "usd"}
    assert refunded.data == captured.data | {
        "refund_id": refunded.data["refund_id"],
        "amount": money,
        "refunded": money,
        "kind": "compensation",
        "reason": "order_cancelled",
    }
    assert refunded.sequence == 2
