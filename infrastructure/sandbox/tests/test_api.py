import base64

import pytest
import requests
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess


def basic(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def ask(sandbox: SandboxProcess, authorization: str | None) -> requests.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return requests.get(f"{sandbox.url}/v1/payment_intents", headers=headers, timeout=60)


@pytest.mark.parametrize("good", ["Bearer sk_test_1", "bearer sk_test_1", basic(b"sk_test_1:"), basic(b"sk_test_1:pw")])
def test_any_test_key_is_accepted(sandbox: SandboxProcess, good: str) -> None:
    assert ask(sandbox, good).status_code == 200


@pytest.mark.parametrize(
    "bad",
    [
        *(None, "", "Bearer", "Bearer ", "Bearer sk_live_1", "Bearer sk_test_", "Bearer pk_test_1"),
        *("sk_test_1", "Token sk_test_1", "Basic !!!", "Basic ", basic(b"sk_live_1:"), basic(b"\xff\xfe")),
    ],
)
def test_other_credentials_are_unauthorized(sandbox: SandboxProcess, bad: str | None) -> None:
    answer = ask(sandbox, bad)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Stripe"'


def test_stripes_client_raises_an_authentication_error(sandbox: SandboxProcess) -> None:
    with pytest.raises(stripe.AuthenticationError):
        sandbox.client(key="sk_live_secret_1234").v1.payment_intents.list()


def test_a_rejected_key_is_masked(sandbox: SandboxProcess) -> None:
    assert "secret_1234" not in ask(sandbox, "Bearer sk_live_secret_1234").text


def test_keys_share_one_ledger(sandbox: SandboxProcess) -> None:
    made = sandbox.client(key="sk_test_one").v1.payment_intents.create({"amount": 500, "currency": "usd"})
    assert sandbox.client(key="sk_test_two").v1.payment_intents.retrieve(made.id).to_dict() == made.to_dict()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("GET", "/v1/customers"),
        ("DELETE", "/v1/payment_intents/pi_1"),
        ("POST", "/v1/payment_intents/pi_1"),
        ("GET", "/v1/payment_intents/"),
        ("GET", "/v1/payment_intents/a/b"),
        ("PUT", "/v1/refunds"),
    ],
)
def test_other_addresses_are_unrecognized(sandbox: SandboxProcess, method: str, path: str) -> None:
    answer = requests.request(method, sandbox.url + path, headers={"Authorization": "Bearer sk_test_1"}, timeout=60)
    assert answer.status_code == 404
    assert f"({method}: {path})" in answer.json()["error"]["message"]


def test_every_response_has_an_id_and_echoes_headers(sandbox: SandboxProcess) -> None:
    answers = [
        sandbox.post(
            "/v1/payment_intents", "amount=500&currency=usd", Stripe_Version="2026-01-01", Idempotency_Key="echo-1"
        ),
        sandbox.post("/v1/payment_intents", "amount=x", Stripe_Version="2026-01-01", Idempotency_Key="echo-2"),
    ]
    for number, answer in enumerate(answers, start=1):
        assert answer.headers["Request-Id"].startswith("req_")
        assert answer.headers["Stripe-Version"] == "2026-01-01"
        assert answer.headers["Idempotency-Key"] == f"echo-{number}"
        assert answer.headers["Content-Type"] == "application/json"
