"""Each kind of fault as Stripe's own client and a bare socket meet it."""

import itertools
import signal
import socket
import struct
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import stripe

from infrastructure.sandbox.tests.process import KEY, SandboxProcess, intent_of

FORM = "amount=1999&currency=usd&payment_method=pm_card_visa&confirm=true"


def tagged() -> dict[str, str]:
    """Metadata to find an intent by, whose answer never came."""
    return {"order_id": str(uuid.uuid4())}


def made_with(client: stripe.StripeClient, metadata: dict[str, str]) -> list[stripe.PaymentIntent]:
    newest = client.v1.payment_intents.list({"limit": 100}).data
    return [intent for intent in newest if intent.metadata.to_dict() == metadata]


def struck(sandbox: SandboxProcess) -> list[int]:
    return [fault["struck"] for fault in requests.get(f"{sandbox.url}/faults", timeout=20).json()["data"]]


def test_an_error_comes_before_anything_is_done(sandbox: SandboxProcess) -> None:
    client, metadata, key = sandbox.client(), tagged(), str(uuid.uuid4())
    sandbox.set_faults({"kind": "error", "status": 503, "remaining": 1})
    with pytest.raises(stripe.APIError) as caught:
        client.v1.payment_intents.create(intent_of(metadata=metadata), {"idempotency_key": key})
    assert caught.value.http_status == 503
    assert made_with(client, metadata) == []
    made = client.v1.payment_intents.create(intent_of(metadata=metadata), {"idempotency_key": key})
    assert [intent.id for intent in made_with(client, metadata)] == [made.id]


def test_an_error_after_is_stored_under_its_key(sandbox: SandboxProcess) -> None:
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


def test_a_lost_answer_was_a_charge(sandbox: SandboxProcess) -> None:
    client, metadata, key = sandbox.client(), tagged(), str(uuid.uuid4())
    sandbox.set_faults({"kind": "lost_answer", "remaining": 1, "match": {"operation": "create"}})
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(intent_of(metadata=metadata, confirm=True), {"idempotency_key": key})
    (charged,) = made_with(client, metadata)
    assert charged.status == "succeeded"
    again = client.v1.payment_intents.create(intent_of(metadata=metadata, confirm=True), {"idempotency_key": key})
    assert again.to_dict() == charged.to_dict()
    assert len(made_with(client, metadata)) == 1


def test_stripes_own_retries_survive_lost_answers(sandbox: SandboxProcess) -> None:
    metadata = tagged()
    sandbox.set_faults({"kind": "lost_answer", "remaining": 2})
    intent = sandbox.client(retries=3).v1.payment_intents.create(intent_of(metadata=metadata, confirm=True))
    assert intent.status == "succeeded"
    assert len(made_with(sandbox.client(), metadata)) == 1


def test_a_reset_is_a_reset_and_nothing_is_done(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "reset", "remaining": 2})
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    with raw(sandbox) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert struck(sandbox) == [2]
    assert made_with(client, metadata) == []


def test_a_lost_answer_closes_without_a_reset(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "lost_answer"})
    with raw(sandbox) as connection:
        assert connection.recv(1) == b""


def test_latency_delays_and_then_works(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "latency", "seconds": 0.3}, {"kind": "latency", "seconds": 0.2, "jitter_seconds": 0.2})
    started = time.monotonic()
    assert sandbox.client().v1.payment_intents.create(intent_of(confirm=True)).status == "succeeded"
    assert 0.5 <= time.monotonic() - started < 30
    started = time.monotonic()
    sandbox.client().v1.payment_intents.list({"limit": 1})
    assert 0.5 <= time.monotonic() - started < 30


def test_a_hang_ends_unanswered_and_nothing_is_done(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "hang", "seconds": 0.6, "match": {"operation": "create"}})
    started = time.monotonic()
    with pytest.raises(stripe.APIConnectionError):
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert 0.6 <= time.monotonic() - started < 30
    assert made_with(client, metadata) == []


def test_a_hang_after_the_charge(sandbox: SandboxProcess) -> None:
    metadata = tagged()
    sandbox.set_faults({"kind": "hang", "after": True, "match": {"operation": "create"}})
    with pytest.raises(stripe.APIConnectionError):
        sandbox.client(seconds=0.5).v1.payment_intents.create(intent_of(metadata=metadata, confirm=True))
    (charged,) = made_with(sandbox.client(), metadata)
    assert charged.status == "succeeded"


def test_hangs_do_not_block_others(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "hang", "seconds": 120, "match": {"operation": "create"}})
    held = [raw(sandbox) for _ in range(140)]  # more than are held at once: the rest is dropped
    try:
        started = time.monotonic()
        for _ in range(5):
            sandbox.client().v1.payment_intents.list({"limit": 1})
        assert time.monotonic() - started < 30
    finally:
        for connection in held:
            connection.close()
    sandbox.set_faults()
    assert sandbox.client().v1.payment_intents.create(intent_of()).status == "requires_confirmation"


@pytest.mark.parametrize("after", [False, True])
def test_malformed_replies_come_before_or_after_the_work(sandbox: SandboxProcess, after: bool) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "nonsense", "after": after, "remaining": 1})
    with pytest.raises(stripe.APIError) as caught:
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert caught.value.http_status == 200
    assert len(made_with(client, metadata)) == (1 if after else 0)


@pytest.mark.parametrize("body", ["html", "bytes", "empty", "json"])
def test_malformed_replies_come_in_several_kinds(sandbox: SandboxProcess, body: str) -> None:
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


def test_a_rate_limit_says_when_to_come_back(sandbox: SandboxProcess) -> None:
    client, metadata = sandbox.client(), tagged()
    sandbox.set_faults({"kind": "rate_limit", "seconds": 3, "remaining": 1})
    with pytest.raises(stripe.RateLimitError) as caught:
        client.v1.payment_intents.create(intent_of(metadata=metadata))
    assert (caught.value.http_status, dict(caught.value.headers or {})["Retry-After"]) == (429, "3")
    assert made_with(client, metadata) == []


def test_a_refusal_does_nothing_and_is_stored_under_its_key(sandbox: SandboxProcess) -> None:
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


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "succeeded"), ("failed", "requires_payment_method")])
def test_a_charge_is_undecided_until_the_fault_is_gone(sandbox: SandboxProcess, outcome: str, status: str) -> None:
    client = sandbox.client()
    intent = client.v1.payment_intents.create(intent_of())
    sandbox.set_faults({"kind": "undecided", "outcome": outcome, "match": {"operation": "confirm"}})
    confirmed = client.v1.payment_intents.confirm(intent.id)
    assert (confirmed.status, confirmed.amount_received) == ("processing", 0)
    for call in (client.v1.payment_intents.cancel, client.v1.payment_intents.confirm):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call(intent.id)
        assert caught.value.code == "payment_intent_unexpected_state"
    assert client.v1.payment_intents.retrieve(intent.id).status == "processing"
    sandbox.set_faults()
    decided = client.v1.payment_intents.retrieve(intent.id)
    assert (decided.status, decided.amount_received) == (status, 1999 if status == "succeeded" else 0)


@pytest.mark.parametrize("state", ["pending", "requires_action"])
@pytest.mark.parametrize(("outcome", "left"), [("succeeded", 0), ("failed", 1999)])
def test_a_refund_is_undecided_until_the_fault_is_gone(
    sandbox: SandboxProcess, state: str, outcome: str, left: int
) -> None:
    client = sandbox.client()
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    sandbox.set_faults({"kind": "undecided", "state": state, "outcome": outcome, "match": {"operation": "refund"}})
    made = client.v1.refunds.create({"payment_intent": intent.id})
    assert made.status == state
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": intent.id})  # it is given away for now
    sandbox.set_faults()
    assert client.v1.refunds.retrieve(made.id).status == outcome
    if left:
        assert client.v1.refunds.create({"payment_intent": intent.id}).amount == left


def test_what_is_undecided_outlives_a_kill(own_sandbox: SandboxProcess) -> None:
    client = own_sandbox.start().client()
    own_sandbox.set_faults({"kind": "undecided"})
    intent = client.v1.payment_intents.create(intent_of(confirm=True))
    own_sandbox.kill()
    own_sandbox.start()
    assert client.v1.payment_intents.retrieve(intent.id).status == "processing"
    own_sandbox.set_faults()
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"operation": "refund"}, {"refund"}),
        ({"operation": "retrieve"}, {"retrieve"}),
        ({"method": "GET"}, {"retrieve"}),
        ({"method": "POST", "path": "/v1/payment_intents$"}, {"create"}),
        ({"path": "/(confirm|cancel)$"}, {"confirm", "cancel"}),
        ({"path": "nowhere"}, set()),
        ({}, {"create", "confirm", "cancel", "retrieve", "refund"}),
    ],
)
def test_a_match_limits_whom_it_strikes(sandbox: SandboxProcess, match: dict[str, str], hit: set[str]) -> None:
    v1 = sandbox.client().v1
    sandbox.set_faults({"kind": "rate_limit", "match": match})
    calls: dict[str, Any] = {
        "create": lambda: v1.payment_intents.create(intent_of()),
        "confirm": lambda: v1.payment_intents.confirm("pi_1"),
        "cancel": lambda: v1.payment_intents.cancel("pi_1"),
        "retrieve": lambda: v1.payment_intents.retrieve("pi_1"),
        "refund": lambda: v1.refunds.create({"payment_intent": "pi_1"}),
    }
    limited = set()
    for name, call in calls.items():
        try:
            call()
        except stripe.RateLimitError:
            limited.add(name)
        except stripe.InvalidRequestError:
            pass
    assert limited == hit


def statuses(sandbox: SandboxProcess, count: int) -> list[int]:
    return [sandbox.get("/v1/payment_intents?limit=1").status_code for _ in range(count)]


def test_a_seed_makes_the_same_sequence_again(sandbox: SandboxProcess) -> None:
    fault = {"kind": "error", "rate": 0.5, "seed": 7}
    sequences = []
    for _ in range(2):
        sandbox.set_faults(fault)
        sequences.append(statuses(sandbox, 30))
    assert sequences[0] == sequences[1]
    assert set(sequences[0]) == {200, 500}
    sandbox.set_faults({**fault, "seed": 8})
    assert statuses(sandbox, 30) != sequences[0]


def test_the_rate_is_a_share_of_the_requests(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "error", "rate": 0.3, "seed": 1})
    assert 30 <= statuses(sandbox, 200).count(500) <= 90
    sandbox.set_faults({"kind": "error", "rate": 0})
    assert statuses(sandbox, 20) == [200] * 20


def test_remaining_counts_down_to_the_number_even_at_once(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "error", "remaining": 7})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sandbox.get("/v1/refunds?limit=1").status_code, range(40)))
    assert (answers.count(500), answers.count(200)) == (7, 33)
    assert struck(sandbox) == [7]


def test_the_first_that_strikes_decides(sandbox: SandboxProcess) -> None:
    sandbox.set_faults({"kind": "rate_limit", "remaining": 1}, {"kind": "error", "remaining": 1})
    assert statuses(sandbox, 3) == [429, 500, 200]


def test_faults_outlive_a_kill(own_sandbox: SandboxProcess) -> None:
    own_sandbox.start().set_faults({"kind": "error", "remaining": 4}, {"kind": "latency", "seconds": 0.01})
    assert statuses(own_sandbox, 2) == [500, 500]
    own_sandbox.kill()
    own_sandbox.start()
    assert struck(own_sandbox)[0] == 2
    assert statuses(own_sandbox, 4) == [500, 500, 200, 200]


def test_a_stop_lets_hangs_go(own_sandbox: SandboxProcess) -> None:
    own_sandbox.start().set_faults({"kind": "hang", "seconds": 300})
    with raw(own_sandbox) as connection:
        wait_until_struck(own_sandbox)
        started = time.monotonic()
        own_sandbox.signal(signal.SIGTERM)
        assert connection.recv(1) == b""
        assert own_sandbox.wait() == 0
        assert time.monotonic() - started < 30


def wait_until_struck(sandbox: SandboxProcess, times: int = 1) -> None:
    for _ in itertools.repeat(None, 100):
        if struck(sandbox) == [times]:
            return
        time.sleep(0.05)
    raise AssertionError("the fault did not strike")


def raw(sandbox: SandboxProcess) -> socket.socket:
    """A connection on which one create was sent and no answer was read."""
    connection = socket.create_connection(("127.0.0.1", sandbox.port), timeout=20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    head = f"POST /v1/payment_intents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n"
    connection.sendall(f"{head}{kind}Content-Length: {len(FORM)}\r\n\r\n{FORM}".encode())
    return connection
