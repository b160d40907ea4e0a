"""Which responses of the provider are an outage, undecided, or need an operator."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from common.errors import LockTimeout, Rejected, Undecided
from common.tests.ports import free_port
from services.payments.resources import Resources
from services.payments.tests.builders import (
    CANCELLED,
    RESERVED,
    deliver,
    delivery,
    held_by,
    new_order,
    payment_of,
    place,
    published_types,
    until_done,
)
from services.payments.tests.provider_answers import answering, out_of_order, provider_at

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from infrastructure.sandbox.tests.process import SandboxProcess


pytestmark = pytest.mark.integration


def test_an_unavailable_provider_or_a_rejected_api_key_is_an_outage(engine: Engine, sandbox: SandboxProcess) -> None:
    order = new_order()
    place(Resources(engine, provider_at(sandbox.url)), order)
    nobody = f"http://127.0.0.1:{free_port()}"
    for provider in (provider_at(nobody), provider_at(sandbox.url, key="sk_live_wrong")):
        out_of_order(Resources(engine, provider), RESERVED, delivery(RESERVED, order))
    assert held_by(sandbox, order).intents == 0


def test_the_circuit_breaker_opens_after_repeated_failures(engine: Engine, sandbox: SandboxProcess) -> None:
    resources = Resources(engine, provider_at(sandbox.url, max_failures=2))
    order = new_order()
    for refused in (new_order(), new_order(), new_order()):  # repeated refusals are no outage
        place(resources, refused, "pm_card_unheard_of")
        deliver(resources, RESERVED, refused)
    place(resources, order)
    incoming = delivery(RESERVED, order)
    sandbox.set_faults({"kind": "error"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources.provider._breaker, "_reset_seconds", 600.0)  # else a stall admits a third request
        for _ in range(4):
            out_of_order(resources, RESERVED, incoming)
    (fault,) = sandbox.get("/faults").json()["data"]
    assert fault["struck"] == 2
    sandbox.set_faults()
    assert until_done(partial(deliver, resources, RESERVED, order, incoming=incoming)) == "done"
    resources.provider.probe()


ANSWERS = [
    (200, b"[]"),
    (200, b"null"),
    (200, b'"ok"'),
    (200, b"{}"),
    (200, b'{"object": "payment_intent"}'),
    (200, b'{"object": "payment_intent", "id": 7, "status": "succeeded"}'),
    (200, b'{"object": "payment_intent", "id": "pi_1", "status": ["succeeded"]}'),
    (200, b'{"object": "refund", "id": "re_1", "status": "succeeded"}'),
    (200, b"[" * 50_000),
    (302, b""),
    (400, b'{"error": []}'),
    (400, b'{"error": {}}'),
    (400, b'{"error": {"type": 7, "code": {}}}'),
    (400, b'{"error": "invalid_request"}'),
    (400, b'{"error": "Bad Request"}'),
    (402, b'{"error": {"message": "pay the hotel first"}}'),
    (403, b'{"error": {"type": "invalid_request_error"}}'),
    (404, b"<html>no such page</html>"),
    (429, b"{}"),
    (503, b'{"error": "Service Unavailable"}'),
]


@pytest.mark.parametrize("status", ["processing", "enlightened"])
def test_an_undecided_intent_is_not_an_outage(engine: Engine, status: str) -> None:
    order = new_order()
    body = json.dumps({"object": "payment_intent", "id": "pi_1", "status": status}).encode()
    with answering(200, body) as url:
        resources = Resources(engine, provider_at(url))
        place(resources, order)
        with pytest.raises(Undecided):
            deliver(resources, RESERVED, order)
    assert published_types(engine, order) == []


@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=lambda value: str(value)[:40])
def test_a_malformed_response_is_an_outage(engine: Engine, status: int, body: bytes) -> None:
    order = new_order()
    with answering(status, body) as url:
        resources = Resources(engine, provider_at(url))
        place(resources, order)
        out_of_order(resources, RESERVED, delivery(RESERVED, order))
    assert published_types(engine, order) == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, b'{"error": {"type": "invalid_request_error", "code": "idempotency_key_in_use"}}'),
        (429, b'{"error": {"type": "invalid_request_error", "code": "lock_timeout"}}'),
    ],
)
def test_a_concurrent_request_is_not_an_outage(engine: Engine, status: int, body: bytes) -> None:
    order = new_order()
    with answering(status, body) as url:
        resources = Resources(engine, provider_at(url))
        place(resources, order)
        with pytest.raises(LockTimeout):
            deliver(resources, RESERVED, order)
    assert published_types(engine, order) == []


def test_a_missing_intent_requires_an_operator(resources: Resources, sandbox: SandboxProcess) -> None:
    order = new_order()
    place(resources, order)
    sandbox.set_faults({"kind": "error", "match": {"operation": "confirm"}})
    out_of_order(resources, RESERVED, delivery(RESERVED, order))
    body = b'{"error": {"type": "invalid_request_error", "code": "resource_missing", "param": "intent"}}'
    for fact in (RESERVED, CANCELLED):
        with answering(404, body) as url, pytest.raises(Rejected) as failure:
            deliver(Resources(resources.engine, provider_at(url)), fact, order)
        assert failure.value.code == "payment_intent_missing"
    assert payment_of(resources.engine, order).status == "pending"
