import pytest
import stripe

from infrastructure.sandbox.cards import CARDS
from infrastructure.sandbox.tests.process import intent_of

# From the tables of docs.stripe.com/testing, deliberately duplicated here.
DOCUMENTED_DECLINES = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_visa_chargeDeclinedLostCard": ("card_declined", "lost_card"),
    "pm_card_visa_chargeDeclinedStolenCard": ("card_declined", "stolen_card"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
    "pm_card_chargeDeclinedIncorrectCvc": ("incorrect_cvc", None),
    "pm_card_chargeDeclinedProcessingError": ("processing_error", None),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": ("card_declined", "card_velocity_exceeded"),
    "pm_card_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeCustomerFail": ("card_declined", "generic_decline"),
    "pm_card_radarBlock": ("card_declined", "fraudulent"),
}
APPROVED = [
    "pm_card_visa", "pm_card_visa_debit", "pm_card_mastercard", "pm_card_mastercard_debit",
    "pm_card_mastercard_prepaid", "pm_card_amex", "pm_card_discover", "pm_card_diners", "pm_card_jcb",
    "pm_card_unionpay",
]  # fmt: skip
AUTHENTICATED = [
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredOnSetup",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
    "pm_card_threeDSecure2Required",
    "pm_card_threeDSecureRequired",
]


@pytest.mark.parametrize("card", APPROVED)
def test_valid_cards_are_charged_in_full(client: stripe.StripeClient, card: str) -> None:
    intent = client.v1.payment_intents.create(intent_of(payment_method=card))
    assert intent.status == "requires_confirmation"
    assert (intent.amount_received, intent.latest_charge) == (0, None)

    intent = client.v1.payment_intents.confirm(intent.id)

    assert intent.status == "succeeded"
    assert (intent.amount_received, intent.amount_capturable, intent.payment_method) == (1999, 0, card)
    assert str(intent.latest_charge).startswith("ch_")


@pytest.mark.parametrize("card", DOCUMENTED_DECLINES)
def test_declined_cards_keep_the_intent_open_with_the_reason(client: stripe.StripeClient, card: str) -> None:
    code, decline_code = DOCUMENTED_DECLINES[card]
    intent = client.v1.payment_intents.create(intent_of(payment_method=card))

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.confirm(intent.id)

    error = caught.value.error
    assert error is not None
    assert (caught.value.http_status, error.type, error.code, error.decline_code) == (
        402,
        "card_error",
        code,
        decline_code,
    )
    assert error.payment_intent is not None
    after = client.v1.payment_intents.retrieve(intent.id)
    assert error.payment_intent.to_dict() == after.to_dict()
    assert (after.status, after.payment_method, after.amount_received) == ("requires_payment_method", None, 0)
    assert after.last_payment_error is not None
    # Stripe omits absent fields of an error, so its client has no such attribute.
    shown = after.last_payment_error.to_dict()
    assert (shown["code"], shown.get("decline_code")) == (code, decline_code)
    assert after.last_payment_error.message == error.message
    assert after.last_payment_error.charge == after.latest_charge


@pytest.mark.parametrize("card", AUTHENTICATED)
def test_cards_that_require_authentication_wait_for_it(client: stripe.StripeClient, card: str) -> None:
    intent = client.v1.payment_intents.create(intent_of(payment_method=card, confirm=True))
    assert (intent.status, intent.amount_received) == ("requires_action", 0)
    assert intent.next_action is not None
    assert intent.next_action.type == "use_stripe_sdk"


def test_a_card_is_declined_if_nobody_can_authenticate(client: stripe.StripeClient) -> None:
    for absent in ({"off_session": True}, {"error_on_requires_action": True}):
        with pytest.raises(stripe.CardError) as caught:
            client.v1.payment_intents.create(
                intent_of(payment_method="pm_card_authenticationRequired", confirm=True, **absent)
            )
        assert caught.value.code == "authentication_required"


def test_an_authentication_redirects_to_the_return_url(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(
        intent_of(payment_method="pm_card_threeDSecure2Required", confirm=True, return_url="https://shop.example/back")
    )
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    assert intent.next_action.redirect_to_url.return_url == "https://shop.example/back"


def test_an_unknown_card_is_missing(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(intent_of(payment_method="pm_card_nonesuch"))
    assert (caught.value.code, caught.value.param, caught.value.http_status) == (
        "resource_missing",
        "payment_method",
        400,
    )
    assert "pm_card_nonesuch" in str(caught.value)

    intent = client.v1.payment_intents.create({"amount": 1999, "currency": "usd"})
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_nonesuch"})
    assert client.v1.payment_intents.retrieve(intent.id).to_dict() == intent.to_dict()


def test_every_decline_has_a_message() -> None:
    declines = [card for card in CARDS.values() if card.outcome == "decline"]
    assert declines
    assert all(card.code and card.message for card in declines)
