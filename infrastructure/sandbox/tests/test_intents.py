import itertools
from functools import partial
from typing import Any

import pytest
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of
from infrastructure.sandbox.tests.together import together

REASONS = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"]


def refused(call: object, code: str) -> stripe.InvalidRequestError:
    assert isinstance(call, stripe.InvalidRequestError), call
    assert (call.code, call.http_status) == (code, 400)
    return call


def test_an_intent_returns_its_parameters(client: stripe.StripeClient) -> None:
    given = client.v1.payment_intents.create(
        intent_of(
            currency="EUR",
            metadata={"order_id": "0199-7", "note": "ünïcode & [brackets]=%"},
            automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
            capture_method="automatic",
            description="An order",
            expand=["latest_charge"],
        )
    )
    assert given.id.startswith("pi_")
    assert str(given.client_secret).startswith(f"{given.id}_secret_")
    assert (given.amount, given.currency, given.description, given.capture_method) == (
        1999,
        "eur",
        "An order",
        "automatic",
    )
    assert given.metadata.to_dict() == {"order_id": "0199-7", "note": "ünïcode & [brackets]=%"}
    assert given.automatic_payment_methods is not None
    assert given.automatic_payment_methods.to_dict() == {"enabled": True, "allow_redirects": "never"}
    assert client.v1.payment_intents.retrieve(given.id, {"expand": ["latest_charge"]}).to_dict() == given.to_dict()


def test_an_intent_without_a_payment_method_waits_for_one(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 1999, "currency": "usd"})
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(intent.id)
    refused(caught.value, "payment_intent_unexpected_state")

    assert client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_amex"}).status == "succeeded"


def test_an_intent_is_created_and_confirmed_in_one_request(client: stripe.StripeClient) -> None:
    assert client.v1.payment_intents.create(intent_of(confirm=True)).status == "succeeded"
    assert client.v1.payment_intents.create(intent_of(confirm=False)).status == "requires_confirmation"


def test_a_declined_intent_can_be_paid_with_another_card(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(intent_of(payment_method="pm_card_chargeDeclined"))
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id)
    after = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert (after.status, after.last_payment_error, after.amount_received) == ("succeeded", None, 1999)


def test_confirming_twice_succeeds_once(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(intent_of())
    first = client.v1.payment_intents.confirm(intent.id)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(intent.id)
    error = refused(caught.value, "payment_intent_unexpected_state").error
    assert error is not None
    assert error.payment_intent is not None
    assert error.payment_intent.to_dict() == first.to_dict()


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_a_cancelled_intent_stays_cancelled(client: stripe.StripeClient, reason: str | None) -> None:
    intent = client.v1.payment_intents.create(intent_of())
    after = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": reason} if reason else {})
    assert (after.status, after.cancellation_reason) == ("canceled", reason)
    assert after.canceled_at is not None
    assert after.canceled_at >= intent.created
    calls: tuple[Any, ...] = (
        lambda: client.v1.payment_intents.confirm(intent.id),
        lambda: client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
        lambda: client.v1.payment_intents.cancel(intent.id),
    )
    for call in calls:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call()
        refused(caught.value, "payment_intent_unexpected_state")
    assert client.v1.payment_intents.retrieve(intent.id).to_dict() == after.to_dict()


@pytest.mark.parametrize("card", ["pm_card_authenticationRequired", None])
def test_unpaid_intents_can_be_cancelled(client: stripe.StripeClient, card: str | None) -> None:
    fields: Any = intent_of(payment_method=card, confirm=True) if card else {"amount": 1999, "currency": "usd"}
    intent = client.v1.payment_intents.create(fields)
    assert client.v1.payment_intents.cancel(intent.id).status == "canceled"


def test_a_paid_intent_cannot_be_cancelled(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded") as caught:
        client.v1.payment_intents.cancel(intent.id)
    refused(caught.value, "payment_intent_unexpected_state")
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_unknown_intents_are_missing(client: stripe.StripeClient) -> None:
    calls = (client.v1.payment_intents.retrieve, client.v1.payment_intents.confirm, client.v1.payment_intents.cancel)
    for call in calls:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call("pi_nonesuch")
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_concurrent_confirmations_charge_once(sandbox: SandboxProcess) -> None:
    client = sandbox.client()
    intent = client.v1.payment_intents.create(intent_of())
    results = together([lambda: sandbox.client().v1.payment_intents.confirm(intent.id)] * 16)
    succeeded = [result for result in results if isinstance(result, stripe.PaymentIntent)]
    assert len(succeeded) == 1
    for result in results:
        if result is not succeeded[0]:
            refused(result, "payment_intent_unexpected_state")
    assert client.v1.payment_intents.retrieve(intent.id).latest_charge == succeeded[0].latest_charge


def test_a_concurrent_confirmation_and_cancellation_have_one_winner(sandbox: SandboxProcess) -> None:
    client = sandbox.client()
    winners = set()
    for _ in range(12):
        intent = client.v1.payment_intents.create(intent_of())
        ends = ("confirm", "cancel", "confirm", "cancel")
        results = together([partial(getattr(sandbox.client().v1.payment_intents, end), intent.id) for end in ends])
        won = [result for result in results if isinstance(result, stripe.PaymentIntent)]
        assert len(won) == 1
        for lost in (result for result in results if result is not won[0]):
            refused(lost, "payment_intent_unexpected_state")
        after = client.v1.payment_intents.retrieve(intent.id)
        assert after.status == won[0].status
        assert after.amount_received == (1999 if after.status == "succeeded" else 0)
        winners.add(after.status)
    assert winners <= {"succeeded", "canceled"}


def test_smallest_and_largest_amounts_are_enforced(client: stripe.StripeClient) -> None:
    borders = {("usd", 50): "amount_too_small", ("gbp", 30): "amount_too_small", ("jpy", 50): "amount_too_small"}
    for (currency, amount), code in borders.items():
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.payment_intents.create(intent_of(amount=amount - 1, currency=currency))
        refused(caught.value, code)
        assert client.v1.payment_intents.create(intent_of(amount=amount, currency=currency)).amount == amount
    assert client.v1.payment_intents.create(intent_of(amount=99_999_999)).amount == 99_999_999
    with pytest.raises(stripe.InvalidRequestError, match="no more than") as caught:
        client.v1.payment_intents.create(intent_of(amount=100_000_000))
    refused(caught.value, "amount_too_large")


def test_ids_are_unique(client: stripe.StripeClient) -> None:
    created = [client.v1.payment_intents.create(intent_of()) for _ in range(20)]
    pairs = itertools.chain.from_iterable((intent.id, intent.client_secret) for intent in created)
    assert len(set(pairs)) == 40
