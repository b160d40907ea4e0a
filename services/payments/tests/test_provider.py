"""A failing provider: nothing hangs, no event is at fault, and nothing is charged twice."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from common.errors import LockTimeout, Rejected, Unavailable, Undecided, classify
from common.resilience.circuit_breaker import Breaker
from common.tests.ports import free_port
from infrastructure.sandbox.tests.process import KEY
from services.payments.domain import Payment, Refund, RefundKind, RefundStatus
from services.payments.provider import Provider, ProviderSettings, make_provider
from services.payments.resources import Resources
from services.payments.tests.builders import (
    AMOUNT,
    CANCELLED,
    RESERVED,
    captured,
    check_books,
    deliver,
    delivery,
    held_by,
    new_order,
    payment_of,
    place,
    published_types,
    until_done,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from infrastructure.sandbox.tests.process import SandboxProcess

pytestmark = pytest.mark.integration

BOUND_SECONDS = 0.3
FAULTS: list[dict[str, Any]] = [
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 503},
    {"kind": "error_after", "status": 500},
    {"kind": "rate_limit"},
    {"kind": "reset"},
    {"kind": "lost_answer"},
    {"kind": "hang", "seconds": 5},
    {"kind": "hang", "seconds": 5, "after": True},
    {"kind": "latency", "seconds": 1.5 * BOUND_SECONDS},
    *({"kind": "nonsense", "body": body} for body in ("html", "bytes", "empty", "json")),
    *({"kind": "nonsense", "body": body, "after": True} for body in ("html", "json")),
]


def name_of(value: Any) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.fixture
def impatient(engine: Engine, sandbox: SandboxProcess) -> Resources:
    return Resources(engine, provider_at(sandbox.url))


def provider_at(url: str, *, key: str = KEY, max_failures: int = 1000) -> Provider:
    settings = ProviderSettings(
        stripe_api_key=key,
        stripe_api_base=url,
        stripe_timeout_seconds=BOUND_SECONDS,
        circuit_breaker_max_failures=max_failures,
    )
    return make_provider(settings)


def out_of_order(resources: Resources, fact: str, incoming: Any) -> None:
    """The provider fails, and that is an outage, noticed in time."""
    began = time.monotonic()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - whatever it is, its class is what counts
        deliver(resources, fact, incoming.event.subject, incoming=incoming)
    assert classify(failure.value) is Unavailable, failure.value
    assert time.monotonic() - began < 5 * BOUND_SECONDS + 10  # the client's own patience is 80 s


@pytest.mark.parametrize(
    ("operation", "fault"),
    [*(("confirm", fault) for fault in FAULTS), *(("create", fault) for fault in FAULTS[::2])],
    ids=name_of,
)
def test_a_charge_outlives_an_outage(
    impatient: Resources, sandbox: SandboxProcess, operation: str, fault: dict[str, Any]
) -> None:
    order = new_order()
    incoming = delivery(RESERVED, order)
    place(impatient, order)
    sandbox.set_faults(fault | {"match": {"operation": operation}, "remaining": 2})
    out_of_order(impatient, RESERVED, incoming)
    # Twice, and both answers may be stored: a key that saw a 500 is given up, and so is the next one.
    assert until_done(partial(deliver, impatient, RESERVED, order, incoming=incoming)) == "done"
    assert published_types(impatient.engine, order) == ["captured"]
    assert held_by(sandbox, order).captured == AMOUNT
    check_books(impatient.engine, sandbox, order)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [*(("refund", fault) for fault in FAULTS[::2]), *(("list_refunds", fault) for fault in FAULTS[1::4])],
    ids=name_of,
)
def test_a_compensation_outlives_an_outage(
    impatient: Resources, sandbox: SandboxProcess, operation: str, fault: dict[str, Any]
) -> None:
    order = captured(impatient).order_id
    incoming = delivery(CANCELLED, order)
    sandbox.set_faults(fault | {"match": {"operation": operation}, "remaining": 1})
    out_of_order(impatient, CANCELLED, incoming)
    assert until_done(partial(deliver, impatient, CANCELLED, order, incoming=incoming)) == "done"
    assert published_types(impatient.engine, order) == ["captured", "refunded"]
    check_books(impatient.engine, sandbox, order)


class Overtaken(Provider):
    """Somebody does something just after this worker has looked for a refund, and before it asks for one."""

    def __init__(self, sandbox: SandboxProcess, act: Callable[[], None]) -> None:
        super().__init__(sandbox.client(), Breaker("overtaken", max_failures=1000), refund_retry_seconds=60)
        self._acts = [act]

    def _find(self, provider_id: str, refund: Refund) -> stripe.Refund | None:
        found = super()._find(provider_id, refund)
        while self._acts:
            self._acts.pop()()
        return found


def a_refund_of(payment: Payment, amount: int) -> Refund:
    return Refund(
        id=new_order(),
        payment_id=payment.id,
        amount=amount,
        status=RefundStatus.PENDING,
        kind=RefundKind.OPERATOR,
        reason="x",
        created_at=payment.created_at,
    )


@pytest.mark.parametrize("kind", ["error_after", "lost_answer", None])
def test_two_workers_ask_for_one_refund_and_the_first_gets_no_answer(
    impatient: Resources, sandbox: SandboxProcess, kind: str | None
) -> None:
    payment = captured(impatient)
    assert payment.provider_id is not None
    made = a_refund_of(payment, 500)

    def act() -> None:
        if kind:
            sandbox.set_faults({"kind": kind, "match": {"operation": "refund"}, "remaining": 1})
        with suppress(stripe.StripeError):
            impatient.provider.refund(str(payment.provider_id), made)

    _, status, _ = Overtaken(sandbox, act).refund(payment.provider_id, made)
    assert status is RefundStatus.SUCCEEDED
    assert held_by(sandbox, payment.order_id).refunded == made.amount


def test_a_refund_that_is_refused_because_it_was_made_already_was_made(
    impatient: Resources, sandbox: SandboxProcess
) -> None:
    """As if the key was forgotten in between: the provider keeps them for a day only."""
    payment = captured(impatient)
    assert payment.provider_id is not None
    made = a_refund_of(payment, AMOUNT)

    def act() -> None:
        metadata = {"refund_id": made.id}
        sandbox.client().v1.refunds.create({"payment_intent": str(payment.provider_id), "metadata": metadata})

    assert Overtaken(sandbox, act).refund(payment.provider_id, made)[1] is RefundStatus.SUCCEEDED
    assert held_by(sandbox, payment.order_id).refunded == AMOUNT


@pytest.mark.parametrize("kind", ["error", "error_after", "lost_answer", "nonsense"])
@pytest.mark.parametrize("operation", ["cancel", "retrieve"])
def test_a_release_outlives_an_outage(impatient: Resources, sandbox: SandboxProcess, kind: str, operation: str) -> None:
    """An intent that is open is cancelled, whatever happens on the way."""
    order = new_order()
    place(impatient, order)
    sandbox.set_faults({"kind": "error", "match": {"operation": "confirm"}})
    out_of_order(impatient, RESERVED, delivery(RESERVED, order))
    incoming = delivery(CANCELLED, order)
    if operation == "retrieve":  # which is only asked when the cancellation's answer was lost before
        sandbox.set_faults({"kind": "lost_answer", "match": {"operation": "cancel"}, "remaining": 1})
        out_of_order(impatient, CANCELLED, incoming)
    if (operation, kind) != ("retrieve", "error_after"):
        sandbox.set_faults({"kind": kind, "match": {"operation": operation}, "remaining": 1})
        out_of_order(impatient, CANCELLED, incoming)
    sandbox.set_faults()
    deliver(impatient, CANCELLED, order, incoming=incoming)
    assert held_by(sandbox, order).statuses == ("canceled",)
    assert payment_of(impatient.engine, order).status == "cancelled"


def test_a_provider_that_is_down_or_refuses_our_key(engine: Engine, sandbox: SandboxProcess) -> None:
    order = new_order()
    place(Resources(engine, provider_at(sandbox.url)), order)
    nobody = f"http://127.0.0.1:{free_port()}"
    for provider in (provider_at(nobody), provider_at(sandbox.url, key="sk_live_wrong")):
        out_of_order(Resources(engine, provider), RESERVED, delivery(RESERVED, order))
    assert held_by(sandbox, order).intents == 0


def test_a_provider_that_fails_repeatedly_is_not_changed_for_a_while(engine: Engine, sandbox: SandboxProcess) -> None:
    resources = Resources(engine, provider_at(sandbox.url, max_failures=2))
    order = new_order()
    for refused in (new_order(), new_order(), new_order()):  # a refusal is an answer, however often it is given
        place(resources, refused, "pm_card_unheard_of")
        deliver(resources, RESERVED, refused)
    place(resources, order)
    incoming = delivery(RESERVED, order)
    sandbox.set_faults({"kind": "error"})
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
def test_an_intent_that_is_not_decided_is_no_outage(engine: Engine, status: str) -> None:
    order = new_order()
    body = json.dumps({"object": "payment_intent", "id": "pi_1", "status": status}).encode()
    with answering(200, body) as url:
        resources = Resources(engine, provider_at(url))
        place(resources, order)
        with pytest.raises(Undecided):
            deliver(resources, RESERVED, order)
    assert published_types(engine, order) == []


@pytest.mark.parametrize(("status", "body"), ANSWERS, ids=lambda value: str(value)[:40])
def test_an_answer_that_means_nothing_is_an_outage(engine: Engine, status: int, body: bytes) -> None:
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
def test_somebody_else_at_work_is_no_outage(engine: Engine, status: int, body: bytes) -> None:
    order = new_order()
    with answering(status, body) as url:
        resources = Resources(engine, provider_at(url))
        place(resources, order)
        with pytest.raises(LockTimeout):
            deliver(resources, RESERVED, order)
    assert published_types(engine, order) == []


def test_an_intent_that_the_provider_has_lost_is_for_a_person_to_look_at(
    impatient: Resources, sandbox: SandboxProcess
) -> None:
    order = new_order()
    place(impatient, order)
    sandbox.set_faults({"kind": "error", "match": {"operation": "confirm"}})
    out_of_order(impatient, RESERVED, delivery(RESERVED, order))
    body = b'{"error": {"type": "invalid_request_error", "code": "resource_missing", "param": "intent"}}'
    for fact in (RESERVED, CANCELLED):
        with answering(404, body) as url, pytest.raises(Rejected) as failure:
            deliver(Resources(impatient.engine, provider_at(url)), fact, order)
        assert failure.value.code == "payment_intent_missing"
    assert payment_of(impatient.engine, order).status == "pending"


class answering:  # noqa: N801 - a context manager
    """A server that answers every request the same way."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - the standard library's names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
