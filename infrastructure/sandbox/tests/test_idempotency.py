import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from infrastructure.sandbox.tests.process import SandboxProcess, intent_of
from infrastructure.sandbox.tests.together import together

DAY_SECONDS = 24 * 3600
FORM = "amount=1999&currency=usd&payment_method=pm_card_visa&confirm=true"


def new_key() -> str:
    return str(uuid.uuid4())


def outcome(answer: requests.Response) -> tuple[int, bytes]:
    return answer.status_code, answer.content


def test_the_same_key_gets_the_same_response(sandbox: SandboxProcess) -> None:
    key = new_key()
    first = sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key)
    again = sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key)

    assert first.status_code == 200
    assert outcome(again) == outcome(first)
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == key
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"] != again.headers["Request-Id"]


def test_the_order_of_parameters_does_not_matter(sandbox: SandboxProcess) -> None:
    key = new_key()
    first = sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key)
    turned = "&".join(reversed(FORM.split("&")))
    assert outcome(sandbox.post("/v1/payment_intents", turned, Idempotency_Key=key)) == outcome(first)


def test_the_same_key_with_other_parameters_is_rejected(client: stripe.StripeClient) -> None:
    key = new_key()
    client.v1.payment_intents.create(intent_of(), {"idempotency_key": key})
    with pytest.raises(stripe.IdempotencyError, match="same parameters") as caught:
        client.v1.payment_intents.create(intent_of(amount=2000), {"idempotency_key": key})
    assert caught.value.http_status == 400


def test_the_same_key_at_another_path_is_rejected(client: stripe.StripeClient) -> None:
    key = new_key()
    one, other = (client.v1.payment_intents.create(intent_of()) for _ in range(2))
    client.v1.payment_intents.confirm(one.id, {}, {"idempotency_key": key})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        client.v1.payment_intents.confirm(other.id, {}, {"idempotency_key": key})
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.cancel(one.id, {}, {"idempotency_key": key})
    assert client.v1.payment_intents.retrieve(other.id).status == "requires_confirmation"


def test_rejections_during_execution_are_stored(sandbox: SandboxProcess) -> None:
    intent = sandbox.client().v1.payment_intents.create(intent_of(payment_method="pm_card_chargeDeclined"))
    for path in (f"/v1/payment_intents/{intent.id}/confirm", "/v1/payment_intents/pi_nonesuch/confirm"):
        key = new_key()
        first = sandbox.post(path, Idempotency_Key=key)
        again = sandbox.post(path, Idempotency_Key=key)
        assert first.status_code in (402, 404)
        assert outcome(again) == outcome(first)
        assert again.headers["Idempotent-Replayed"] == "true"


def test_a_stored_rejection_hides_a_changed_state(client: stripe.StripeClient) -> None:
    """A merchant must retrieve the intent instead of repeating a key for ever."""
    key, intent = new_key(), client.v1.payment_intents.create(intent_of(payment_method="pm_card_chargeDeclined"))
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id, {}, {"idempotency_key": key})
    client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    with pytest.raises(stripe.CardError):
        client.v1.payment_intents.confirm(intent.id, {}, {"idempotency_key": key})
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("amount=many&currency=usd", {}, 400),
        ("amount=1999", {}, 400),
        (FORM + "&nonsense=1", {}, 400),
        (FORM, {"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_rejections_before_execution_are_not_stored(
    sandbox: SandboxProcess, body: str, headers: dict[str, str], status: int
) -> None:
    key = new_key()
    refused = sandbox.post("/v1/payment_intents", body, Idempotency_Key=key, **headers)
    assert refused.status_code == status
    good = sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key)
    assert good.status_code == 200
    assert "Idempotent-Replayed" not in good.headers


def test_every_request_without_a_key_is_executed(sandbox: SandboxProcess) -> None:
    first, second = (sandbox.post("/v1/payment_intents", FORM).json()["id"] for _ in range(2))
    assert first != second


def test_a_key_of_a_get_is_ignored(sandbox: SandboxProcess) -> None:
    key, intents = new_key(), [sandbox.post("/v1/payment_intents", FORM).json() for _ in range(2)]
    for intent in intents:
        headers = {"Authorization": "Bearer sk_test_x", "Idempotency-Key": key}
        answer = requests.get(f"{sandbox.url}/v1/payment_intents/{intent['id']}", headers=headers, timeout=60)
        assert answer.json() == intent


@pytest.mark.parametrize("key", ["k" * 256, "k" * 10_000, "k\x7f", "schlüssel"])
def test_invalid_keys_are_rejected(sandbox: SandboxProcess, key: str) -> None:
    headers: dict[str, Any] = {"Idempotency-Key": key.encode("latin-1"), "Authorization": "Bearer sk_test_x"}
    answer = requests.post(f"{sandbox.url}/v1/payment_intents", data={"amount": 1}, headers=headers, timeout=60)
    assert answer.status_code == 400


def test_the_longest_key_is_accepted(sandbox: SandboxProcess) -> None:
    key = new_key().ljust(255, "k")
    first, again = (sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key) for _ in range(2))
    assert outcome(first) == outcome(again)


def test_a_key_in_progress_is_rejected(own_sandbox: SandboxProcess) -> None:
    # The first request stays in progress until the others have been answered; then the stop ends its delay.
    own_sandbox.start().set_faults({"kind": "latency", "seconds": 300, "match": {"operation": "create"}})
    key = new_key()

    def create() -> requests.Response:
        return own_sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key)

    with ThreadPoolExecutor(20) as pool:
        requested = [pool.submit(create) for _ in range(20)]
        deadline = time.monotonic() + 45
        while sum(each.done() for each in requested) < 19 and time.monotonic() < deadline:
            time.sleep(0.05)
        answers = [each.result() for each in requested if each.done()]
        assert own_sandbox.terminate() == 0
    assert [answer.status_code for answer in answers] == [409] * 19
    assert answers[0].json()["error"]["code"] == "idempotency_key_in_use"

    [first] = [answer for answer in (each.result() for each in requested) if answer.status_code == 200]

    own_sandbox.start().set_faults()
    again = create()
    assert outcome(again) == outcome(first)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [intent.id for intent in own_sandbox.client().v1.payment_intents.list().data] == [again.json()["id"]]


def test_twenty_concurrent_requests_with_one_key_charge_once(sandbox: SandboxProcess) -> None:
    client, key = sandbox.client(), new_key()
    order = {"order_id": key}

    def create() -> stripe.PaymentIntent:
        intents = sandbox.client(retries=8).v1.payment_intents
        return intents.create(intent_of(confirm=True, metadata=order), {"idempotency_key": key})

    results = together([create] * 20)
    assert {result.id for result in results} == {results[0].id}
    newest = client.v1.payment_intents.list({"limit": 100}).data
    assert len([intent for intent in newest if intent.metadata.to_dict() == order]) == 1


def test_keys_expire_after_a_day(own_sandbox: SandboxProcess) -> None:
    keys = {new_key(): DAY_SECONDS - 600, new_key(): DAY_SECONDS + 600}
    own_sandbox.start()
    before = {key: own_sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key).json() for key in keys}
    own_sandbox.terminate()
    ledger = sqlite3.connect(own_sandbox.directory / "sandbox.sqlite3")
    with ledger:
        for key, age in keys.items():
            ledger.execute("UPDATE idempotency_keys SET created = ? WHERE key = ?", [int(time.time()) - age, key])
    ledger.close()
    own_sandbox.start()
    after = {key: own_sandbox.post("/v1/payment_intents", FORM, Idempotency_Key=key).json() for key in keys}
    kept, forgotten = keys
    assert after[kept] == before[kept]
    assert after[forgotten]["id"] != before[forgotten]["id"]
