import pytest
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of
from infrastructure.sandbox.tests.together import together


def paid(client: stripe.StripeClient, amount: int = 1000) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(intent_of(amount=amount, confirm=True))


def test_a_refund_without_an_amount_refunds_the_rest(client: stripe.StripeClient) -> None:
    intent = paid(client)
    refund = client.v1.refunds.create(
        {"payment_intent": intent.id, "reason": "requested_by_customer", "metadata": {"order_id": "o-1"}}
    )
    assert refund.id.startswith("re_")
    assert (refund.amount, refund.currency, refund.status) == (1000, "usd", "succeeded")
    assert (refund.payment_intent, refund.charge, refund.reason) == (
        intent.id,
        intent.latest_charge,
        "requested_by_customer",
    )
    assert refund.metadata is not None
    assert refund.metadata.to_dict() == {"order_id": "o-1"}
    assert client.v1.refunds.retrieve(refund.id).to_dict() == refund.to_dict()
    after = client.v1.payment_intents.retrieve(intent.id)
    assert (after.status, after.amount_received) == ("succeeded", 1000)  # like Stripe: refunds do not change the intent

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"


def test_partial_refunds_never_exceed_the_charge(client: stripe.StripeClient) -> None:
    intent = paid(client)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 300})
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$7.01\) is greater than .* \(\$7.00\)") as caught:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 701})
    assert caught.value.param == "amount"
    assert client.v1.refunds.create({"payment_intent": intent.id}).amount == 700
    assert [refund.amount for refund in client.v1.refunds.list({"payment_intent": intent.id}).data] == [700, 300]


def test_a_refund_may_name_the_charge(client: stripe.StripeClient) -> None:
    intent = paid(client)
    refund = client.v1.refunds.create({"charge": str(intent.latest_charge), "amount": 1})
    assert refund.payment_intent == intent.id
    assert [each.id for each in client.v1.refunds.list({"charge": str(intent.latest_charge)}).data] == [refund.id]


@pytest.mark.parametrize("status", ["requires_confirmation", "canceled", "requires_payment_method", "requires_action"])
def test_only_a_paid_intent_is_refunded(client: stripe.StripeClient, status: str) -> None:
    card = {"requires_payment_method": "pm_card_chargeDeclined", "requires_action": "pm_card_threeDSecure2Required"}
    intent = client.v1.payment_intents.create(intent_of(payment_method=card.get(status, "pm_card_visa")))
    if status == "canceled":
        client.v1.payment_intents.cancel(intent.id)
    elif status == "requires_payment_method":
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.confirm(intent.id)
    elif status == "requires_action":
        client.v1.payment_intents.confirm(intent.id)
    assert client.v1.payment_intents.retrieve(intent.id).status == status

    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge"):
        client.v1.refunds.create({"payment_intent": intent.id})
    assert client.v1.refunds.list({"payment_intent": intent.id}).data == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 400, None),
        ({"amount": 5}, 400, None),
        ({"payment_intent": "pi_nonesuch"}, 404, "resource_missing"),
        ({"charge": "ch_nonesuch"}, 404, "resource_missing"),
    ],
)
def test_a_refund_without_a_valid_target_is_rejected(
    client: stripe.StripeClient, fields: dict[str, object], status: int, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create(fields)  # type: ignore[arg-type]  # some are invalid on purpose
    assert (caught.value.http_status, caught.value.code) == (status, code)


@pytest.mark.parametrize("amount", [0, -1, -(10**9)])
def test_an_amount_below_one_is_rejected(client: stripe.StripeClient, amount: int) -> None:
    intent = paid(client)
    with pytest.raises(stripe.InvalidRequestError, match="greater than or equal to 1") as caught:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": amount})
    assert caught.value.code == "parameter_invalid_integer"


def test_a_charge_of_another_intent_is_rejected(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="does not belong"):
        client.v1.refunds.create({"payment_intent": paid(client).id, "charge": str(paid(client).latest_charge)})


def test_concurrent_refunds_never_exceed_the_charge(sandbox: SandboxProcess) -> None:
    intent = paid(sandbox.client())

    def refund() -> stripe.Refund:
        return sandbox.client().v1.refunds.create({"payment_intent": intent.id, "amount": 300})

    results = together([refund] * 12)
    given = [result.amount for result in results if isinstance(result, stripe.Refund)]
    assert given == [300, 300, 300]
    assert all(isinstance(result, stripe.Refund | stripe.InvalidRequestError) for result in results)
    assert sum(each.amount for each in sandbox.client().v1.refunds.list({"payment_intent": intent.id}).data) == 900


def test_concurrent_full_refunds_refund_once(sandbox: SandboxProcess) -> None:
    intent = paid(sandbox.client())
    results = together([lambda: sandbox.client().v1.refunds.create({"payment_intent": intent.id})] * 12)
    assert len([result for result in results if isinstance(result, stripe.Refund)]) == 1
    codes = {result.code for result in results if isinstance(result, stripe.InvalidRequestError)}
    assert codes == {"charge_already_refunded"}


def test_unknown_refunds_are_missing(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.retrieve("re_nonesuch")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
