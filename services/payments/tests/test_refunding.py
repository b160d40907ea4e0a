"""Operators' refunds by HTTP: once per key, and never above the captured amount, also after failures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from services.payments.tests.builders import (
    AMOUNT,
    cancel,
    captured,
    check_books,
    held_by,
    new_order,
    payment_of,
    place,
    published,
    published_types,
    reserve,
    status_of,
    together,
)
from services.payments.tests.calls import REASON, answer, get, problem, refund, usd

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def test_a_partial_refund_and_then_the_rest_are_refunded(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    first = answer(refund(client, payment.id, {"amount": usd(500)} | REASON), 201)
    assert first == {
        "id": first["id"],
        "payment_id": payment.id,
        "order_id": payment.order_id,
        "amount": usd(500),
        "refunded": usd(500),
        "status": "succeeded",
        "reason": REASON["reason"],
        "provider_id": first["provider_id"],
        "created_at": first["created_at"],
    }
    shown = answer(get(client, f"/{payment.id}"), 200)
    assert (shown["status"], shown["refunded"], shown["version"]) == ("partially_refunded", usd(500), 2)

    rest = answer(refund(client, payment.id, REASON), 201)
    assert (rest["amount"], rest["refunded"]) == (usd(AMOUNT - 500), usd(AMOUNT))
    shown = answer(get(client, f"/{payment.id}"), 200)
    assert (shown["status"], shown["refunded"], shown["version"]) == ("refunded", usd(AMOUNT), 3)
    events = [event.data for event in published(resources.engine, payment.order_id)[1:]]
    assert [event["refund_id"] for event in events] == [first["id"], rest["id"]]
    assert [event["refunded"] for event in events] == [usd(500), usd(AMOUNT)]
    assert {(event["kind"], event["reason"]) for event in events} == {("operator", REASON["reason"])}
    check_books(resources.engine, sandbox, payment.order_id)


def test_an_amount_above_the_rest_cannot_be_refunded(client: FlaskClient, resources: Resources) -> None:
    payment = captured(resources)
    too_much = {"amount": usd(AMOUNT + 1)} | REASON
    assert problem(refund(client, payment.id, too_much)) == (409, "amount_exceeds_remaining")
    assert problem(refund(client, payment.id, {"amount": usd(1) | {"currency": "eur"}} | REASON)) == (
        422,
        "currency_mismatch",
    )
    refund(client, payment.id, REASON)
    assert problem(refund(client, payment.id, REASON)) == (409, "payment_not_refundable")
    assert published_types(resources.engine, payment.order_id) == ["captured", "refunded"]


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_chargeDeclined"])
def test_an_uncaptured_payment_cannot_be_refunded(client: FlaskClient, resources: Resources, method: str) -> None:
    order = new_order()
    place(resources, order, method)
    if method != "pm_card_visa":
        reserve(resources, order)
    payment = payment_of(resources.engine, order)
    assert problem(refund(client, payment.id, REASON, key="k")) == (409, "payment_not_refundable")
    assert problem(refund(client, payment.id, REASON, key="k")) == (409, "payment_not_refundable")


def test_an_unknown_payment_cannot_be_refunded(client: FlaskClient, resources: Resources) -> None:
    unknown = new_order()
    reserve(resources, unknown)
    for payment_id in (new_id(), "42", payment_of(resources.engine, unknown).id):
        assert problem(refund(client, payment_id, REASON)) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": "nul \x00"}, None),
        ({"reason": None}, "reason"),
        (REASON | {"amount": 500}, "amount"),
        (REASON | {"amount": None}, "amount"),
        (REASON | {"amount": usd(0)}, "amount.amount"),
        (REASON | {"amount": usd(-1)}, "amount.amount"),
        (REASON | {"amount": usd(10**9)}, "amount.amount"),
        (REASON | {"amount": {"amount": 1.5, "currency": "usd"}}, "amount.amount"),
        (REASON | {"amount": {"amount": True, "currency": "usd"}}, "amount.amount"),
        (REASON | {"amount": {"amount": 1, "currency": "xxx"}}, "amount.currency"),
        (REASON | {"payment_id": "x"}, "payment_id"),
        ([], "body"),
    ],
)
def test_invalid_requests_are_rejected(client: FlaskClient, resources: Resources, body: Any, field: str | None) -> None:
    payment = captured(resources)
    reply = refund(client, payment.id, body)
    assert problem(reply) == ((422, "invalid_request") if field else (400, "malformed_json"))
    assert field is None or list(reply.get_json()["errors"]) == [field]
    assert published_types(resources.engine, payment.order_id) == ["captured"]


def test_the_same_key_refunds_once(client: FlaskClient, resources: Resources, sandbox: SandboxProcess) -> None:
    payment, other = captured(resources), captured(resources)
    body = {"amount": usd(500)} | REASON
    first = refund(client, payment.id, body, key="k-1")
    again = refund(client, payment.id, body, key="k-1")
    assert answer(again, 201) == answer(first, 201)
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert problem(refund(client, payment.id, REASON, key="k-1")) == (422, "idempotency_key_reused")
    assert problem(refund(client, other.id, body, key="k-1")) == (422, "idempotency_key_reused")
    assert problem(refund(client, payment.id, body, key="k" * 256)) == (400, "invalid_idempotency_key")
    assert held_by(sandbox, payment.order_id).refunded == 500


def test_concurrent_refunds_never_exceed_the_captured_amount(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    sandbox.set_faults({"kind": "latency", "seconds": 0.1, "match": {"operation": "refund"}})
    app = client.application
    bodies = [{"amount": usd(600)} | REASON] * 5 + [REASON]
    replies = together(partial(refund, app.test_client(), payment.id, body) for body in bodies)
    codes = [reply.status_code for reply in replies]
    assert set(codes) == {201, 409}
    given_back = sum(reply.get_json()["amount"]["amount"] for reply in replies if reply.status_code == 201)
    assert payment_of(resources.engine, payment.order_id).refunded == given_back <= AMOUNT
    check_books(resources.engine, sandbox, payment.order_id)


def test_concurrent_requests_with_one_key_create_one_refund(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    sandbox.set_faults({"kind": "latency", "seconds": 1.0, "match": {"operation": "refund"}})
    app, body = client.application, {"amount": usd(100)} | REASON
    replies = together([partial(refund, app.test_client(), payment.id, body, key="k") for _ in range(4)])
    # One that a stall lets begin after the refund gets the same reply.
    assert {problem(reply) for reply in replies if reply.status_code != 201} == {(409, "idempotency_key_in_flight")}
    assert len({reply.get_json()["id"] for reply in replies if reply.status_code == 201}) == 1
    assert payment_of(resources.engine, payment.order_id).refunded == 100


@pytest.mark.parametrize("kind", ["error", "error_after", "lost_answer", "nonsense", "hang"])
@pytest.mark.parametrize("operation", ["refund", "list_refunds"])
def test_a_refund_interrupted_by_an_outage_is_finished_by_the_same_key(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess, kind: str, operation: str
) -> None:
    payment = captured(resources)
    body = {"amount": usd(500)} | REASON
    sandbox.set_faults({"kind": kind, "match": {"operation": operation}, "remaining": 1})
    reply = refund(client, payment.id, body, key="k")
    assert problem(reply)[0] == 503
    assert int(reply.headers["Retry-After"]) >= 1
    assert payment_of(resources.engine, payment.order_id).refunded == 0
    over = {"amount": usd(AMOUNT - 499)} | REASON  # a pending refund counts as refunded
    assert problem(refund(client, payment.id, over)) == (409, "amount_exceeds_remaining")
    answer(refund(client, payment.id, body, key="k"), 201)
    assert held_by(sandbox, payment.order_id).refunded == 500
    check_books(resources.engine, sandbox, payment.order_id)


def test_a_pending_refund_is_finished_when_the_order_is_cancelled(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    body = {"amount": usd(500)} | REASON
    sandbox.set_faults({"kind": "lost_answer", "match": {"operation": "refund"}, "remaining": 1})
    assert refund(client, payment.id, body, key="k").status_code == 503
    cancel(resources, payment.order_id)
    assert status_of(resources.engine, payment.order_id) == "refunded"
    events = published(resources.engine, payment.order_id)[1:]
    assert [(event.data["kind"], event.data["amount"]) for event in events] == [
        ("operator", usd(500)),
        ("compensation", usd(AMOUNT - 500)),
    ]
    finished = answer(refund(client, payment.id, body, key="k"), 201)
    assert (finished["id"], finished["refunded"]) == (events[0].data["refund_id"], usd(AMOUNT))
    assert finished["status"] == "succeeded"
    check_books(resources.engine, sandbox, payment.order_id)


def test_a_refusal_by_the_provider_is_reported_and_ends_the_refund(
    client: FlaskClient, resources: Resources, engine: Engine, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    assert payment.provider_id is not None
    sandbox.client().v1.refunds.create({"payment_intent": payment.provider_id, "amount": AMOUNT - 100})
    for _ in range(2):
        assert problem(refund(client, payment.id, {"amount": usd(500)} | REASON, key="k")) == (409, "refund_refused")
    assert published_types(engine, payment.order_id) == ["captured"]
    assert answer(refund(client, payment.id, {"amount": usd(100)} | REASON, key="k-2"), 201)["refunded"] == usd(100)
