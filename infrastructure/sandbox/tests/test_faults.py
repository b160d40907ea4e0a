"""The effect of each kind of fault on Stripe's own client and on a bare socket."""

import time
import uuid

import pytest
import requests
import stripe

from infrastructure.sandbox.tests.fault_effects import made_with, raw, struck, tagged, wait_until_made
from infrastructure.sandbox.tests.process import SandboxProcess, intent_of


def test_an_error_is_returned_before_execution(sandbox: SandboxProcess) -> None:
    client, metadata, key = sandbox.client(), tagged(), str(uuid.uuid4())
    sandbox.set_faults({"kind": "error", "status": 503, "remaining": 1})
    with pytest.raises(stripe.APIError) as caught:
        client.v1.payment_intents.create(intent_of(metadata=metadata), {"idempotency_key": key})
    assert caught.value.http_status == 503
    assert made_with(client, metadata) == []
    made = client.v1.payment_intents.create(intent_of(metadata=metadata), {"idempotency_key": key})
    assert [intent.id for intent in made_with(client, metadata)] == [made.id]


def test_an_error_after_execution_is_stored_under_its_key(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    intent = client.v1.payment_intents.create(intent_of(metadata=metadata))
    sandbox.set_faults({"kind": "error_after", "remaining": 1, "match": {"operation": "confirm"}})
    for _ in range(3):
        with pytest.raises(stripe.APIError) as caught:
            client.v1.payment_intents.confirm(intent.id, {}, {"idempotency_key": metadata["order_id"]})
        assert caught.value.http_status == 500
        assert dict(caught.value.headers or {})["Stripe-Should-Retry"] == "false"
    assert dict(caught.value.headers or {})["Idempotent-Replayed"] == "true"
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_lost_response_has_charged(sandbox: SandboxProcess) -> None:
    client, metadata, key = sandbox.client(), tagged(), str(uuid.uuid4())
    sandbox.set_faults({"kind": "lost_answer", "remaining": 1, "match": {"operation": "create"}})
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(intent_of(metadata=metadata, confirm=True), {"idempotency_key": key})
    (charged,) = made_with(client, metadata)
    assert charged.status == "succeeded"
    again = client.v1.payment_intents.create(intent_of(metadata=metadata, confirm=True), {"idempotency_key": key})
    assert again.to_dict() == charged.to_dict()
    assert len(made_with(client, metadata)) == 1


def test_stripes_own_retries_survive_lost_responses(sandbox: SandboxProcess) -> None:
    metadata = tagged()
    sandbox.set_faults({"kind": "lost_answer", "remaining": 2})
    intent = sandbox.client(retries=3).v1.payment_intents.create(intent_of(metadata=metadata, confirm=True))
    assert intent.status == "succeeded"
    assert len(made_with(sandbox.client(), metadata)) == 1


def test_a_reset_closes_with_rst_and_executes_nothing(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "reset", "remaining": 2})
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    with raw(sandbox) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert struck(sandbox) == [2]
    assert made_with(client, metadata) == []


def test_a_lost_response_closes_without_rst(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "lost_answer"})
    with raw(sandbox) as connection:
        assert connection.recv(1) == b""


def test_latency_delays_a_successful_request(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "latency", "seconds": 0.3}, {"kind": "latency", "seconds": 0.2, "jitter_seconds": 0.2})
    started = time.monotonic()
    assert sandbox.client().v1.payment_intents.create(intent_of(confirm=True)).status == "succeeded"
    assert 0.5 <= time.monotonic() - started < 60
    started = time.monotonic()
    sandbox.client().v1.payment_intents.list({"limit": 1})
    assert 0.5 <= time.monotonic() - started < 60


def test_a_hang_ends_without_response_or_execution(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "hang", "seconds": 0.6, "match": {"operation": "create"}})
    started = time.monotonic()
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert 0.6 <= time.monotonic() - started < 60
    assert made_with(client, metadata) == []


def test_a_hang_after_the_charge_keeps_the_charge(sandbox: SandboxProcess) -> None:
    metadata = tagged()
    sandbox.set_faults({"kind": "hang", "after": True, "match": {"operation": "create"}})
    with pytest.raises(stripe.APIConnectionError):
        sandbox.client(seconds=0.5).v1.payment_intents.create(intent_of(metadata=metadata, confirm=True))
    assert wait_until_made(sandbox.client(), metadata).status == "succeeded"


def test_hangs_do_not_block_others(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "hang", "seconds": 120, "match": {"operation": "create"}})
    held = [raw(sandbox) for _ in range(140)]  # more than the limit: the others are dropped
    try:
        started = time.monotonic()
        for _ in range(5):
            sandbox.client().v1.payment_intents.list({"limit": 1})
        assert time.monotonic() - started < 60
    finally:
        for connection in held:
            connection.close()
    sandbox.set_faults()
    assert sandbox.client().v1.payment_intents.create(intent_of()).status == "requires_confirmation"


@pytest.mark.parametrize("after", [False, True])
def test_malformed_replies_are_sent_before_or_after_execution(sandbox: SandboxProcess, after: bool) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "nonsense", "after": after, "remaining": 1})
    with pytest.raises(stripe.APIError) as caught:
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert caught.value.http_status == 200
    assert len(made_with(client, metadata)) == (1 if after else 0)


@pytest.mark.parametrize("body", ["html", "bytes", "empty", "json"])
def test_malformed_replies_have_several_kinds(sandbox: SandboxProcess, body: str) -> None:
    sandbox.set_faults({"kind": "nonsense", "body": body})
    answer = sandbox.get("/v1/payment_intents")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    if body == "json":
        assert "data" not in answer.json()
    else:
        with pytest.raises(requests.exceptions.JSONDecodeError):
            answer.json()
    # Bytes that are not UTF-8 end in an error that is not even Stripe's; wrong JSON in an object without fields.
    expected = {"bytes": UnicodeDecodeError, "json": AttributeError}.get(body, stripe.APIError)
    with pytest.raises(expected):
        assert sandbox.client().v1.payment_intents.retrieve("pi_1").status


def test_a_rate_limit_has_retry_after(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "rate_limit", "seconds": 3, "remaining": 1})
    with pytest.raises(stripe.RateLimitError) as caught:
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert (caught.value.http_status, dict(caught.value.headers or {})["Retry-After"]) == (429, "3")
    assert made_with(client, metadata) == []


def test_a_refusal_has_no_effect_and_is_stored_under_its_key(sandbox: SandboxProcess) -> None:
    client, key = sandbox.client(), str(uuid.uuid4())
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    sandbox.set_faults({"kind": "refuse", "code": "charge_disputed", "match": {"operation": "refund"}})
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            client.v1.refunds.create({"payment_intent": intent.id}, {"idempotency_key": key})
        assert (caught.value.http_status, caught.value.code) == (400, "charge_disputed")
    assert dict(caught.value.headers or {})["Idempotent-Replayed"] == "true"
    sandbox.set_faults()
    assert list(client.v1.refunds.list({"payment_intent": intent.id})) == []
    assert client.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"
