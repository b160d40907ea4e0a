"""Invalid parameters over HTTP: each gets a specific 400, and nothing is created."""

import pytest
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of

GOOD = "amount=1999&currency=usd&payment_method=pm_card_visa"


def count(client: stripe.StripeClient) -> str | None:
    """The newest intent's id, which changes if one is created."""
    newest = client.v1.payment_intents.list({"limit": 1}).data
    return newest[0].id if newest else None


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ("currency=usd", "parameter_missing", "amount"),
        ("amount=&currency=usd", "parameter_invalid_empty", "amount"),
        ("amount=1999", "parameter_missing", "currency"),
        ("amount=0&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=-1999&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=19.99&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=1e3&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=%2B5&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=%D9%A1%D9%A2%D9%A3&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=" + "9" * 30 + "&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=" + "9" * 4999 + "&currency=usd", "parameter_invalid_integer", "amount"),
        ("amount=" + "9" * 9999 + "&currency=usd", None, "amount"),
        ("amount[a]=1&currency=usd", None, "amount"),
        ("amount=1999&currency=gold", None, "currency"),
        ("amount=1999&currency[x]=usd", None, "currency"),
        (GOOD + "&confirm=yes", None, "confirm"),
        (GOOD + "&capture_method=manual", None, "capture_method"),
        (GOOD + "&confirmation_method=manual", None, "confirmation_method"),
        (GOOD + "&metadata=x", None, "metadata"),
        (GOOD + "&metadata[a][b]=x", None, "metadata[a]"),
        (GOOD + "&metadata[" + "k" * 41 + "]=x", None, "metadata[" + "k" * 41 + "]"),
        (GOOD + "&metadata[k]=" + "v" * 501, None, "metadata[k]"),
        (GOOD + "".join(f"&metadata[k{n}]=v" for n in range(51)), None, "metadata"),
        (GOOD + "&automatic_payment_methods[enabled]=maybe", None, "automatic_payment_methods[enabled]"),
        (GOOD + "&automatic_payment_methods[x]=1", "parameter_unknown", "automatic_payment_methods[x]"),
        (GOOD + "&payment_method_types[0]=sepa_debit", None, "payment_method_types"),
        (GOOD + "&customer=cus_1", "parameter_unknown", "customer"),
        (GOOD + "&transfer_data[destination]=acct_1", "parameter_unknown", "transfer_data"),
        (GOOD + "&description=" + "d" * 5001, None, "description"),
        (GOOD + "&amount[x]=1", None, "amount"),
        ("&".join(f"p{n}=1" for n in range(10_000)), None, None),
        (b"\x00\xff\xfe garbage \x80", None, None),
        (b"amount=\xff&currency=usd", None, None),
        ("amount=%FF&currency=usd", None, None),
        (GOOD + "&metadata[a]=%00", "invalid_characters", None),
        (GOOD + "&a[[b]]=1", None, None),
    ],
)
def test_invalid_parameters_are_rejected_by_name(
    sandbox: SandboxProcess, body: str | bytes, code: str | None, param: str | None
) -> None:
    before = count(sandbox.client())
    answer = sandbox.post("/v1/payment_intents", body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error.get("code"), error.get("param")) == ("invalid_request_error", code, param)
    assert error["message"]
    assert len(answer.content) < 1_000
    assert count(sandbox.client()) == before


def test_parameters_without_an_effect_are_accepted(sandbox: SandboxProcess) -> None:
    polite = "&expand[]=latest_charge&use_stripe_sdk=true&off_session=true&receipt_email=a%40b.c&description="
    assert sandbox.post("/v1/payment_intents", GOOD + polite).status_code == 200


def test_full_metadata_is_stored(client: stripe.StripeClient) -> None:
    metadata = {f"{n:02}".ljust(40, "k"): "v" * 500 for n in range(50)}
    intent = client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert client.v1.payment_intents.retrieve(intent.id).metadata.to_dict() == metadata


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_only_form_encoded_bodies_are_accepted(sandbox: SandboxProcess, content_type: str) -> None:
    answer = sandbox.post("/v1/payment_intents", b'{"amount": 1999}', Content_Type=content_type)
    assert answer.status_code == 400
    assert "application/x-www-form-urlencoded" in answer.json()["error"]["message"]


def test_parameters_of_a_post_must_be_in_its_body(sandbox: SandboxProcess) -> None:
    assert sandbox.post(f"/v1/payment_intents?{GOOD}").status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("confirm", "nonsense=1", "nonsense"),
        ("confirm", "payment_method[x]=1", "payment_method"),
        ("cancel", "cancellation_reason=bored", "cancellation_reason"),
        ("cancel", "amount=1", "amount"),
    ],
)
def test_the_other_operations_reject_invalid_parameters(
    sandbox: SandboxProcess, path: str, body: str, param: str
) -> None:
    intent = sandbox.client().v1.payment_intents.create(intent_of())
    answer = sandbox.post(f"/v1/payment_intents/{intent.id}/{path}", body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert sandbox.client().v1.payment_intents.retrieve(intent.id).status == "requires_confirmation"
