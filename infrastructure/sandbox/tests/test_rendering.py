import typing

import stripe

from infrastructure.sandbox.tests.process import intent_of


def declared(cls: type) -> dict[str, object]:
    """The fields that Stripe's own client declares for an object, with their types."""
    return {
        name: kind for name, kind in cls.__annotations__.items() if not name.startswith("_") and name != "OBJECT_NAME"
    }


def never_null(cls: type) -> set[str]:
    return {name for name, kind in declared(cls).items() if type(None) not in typing.get_args(kind)}


def test_intents_have_stripes_fields_and_no_others(client: stripe.StripeClient) -> None:
    bare: typing.Any = {"amount": 500, "currency": "usd"}
    for fields in (bare, intent_of(confirm=True)):
        shown = client.v1.payment_intents.create(fields).to_dict()
        assert set(shown) <= set(declared(stripe.PaymentIntent))
        assert [name for name in never_null(stripe.PaymentIntent) if shown.get(name) is None] == []


def test_refunds_have_stripes_fields_and_no_others(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    shown = client.v1.refunds.create({"payment_intent": intent.id}).to_dict()
    assert set(shown) <= set(declared(stripe.Refund))
    assert [name for name in never_null(stripe.Refund) if shown.get(name) is None] == []
