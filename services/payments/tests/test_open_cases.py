"""A permanently refused refund: retried with backoff, then an operator decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from common.messaging.events import new_id
from common.messaging.inbox import AlreadyHandled
from common.storage.postgresql import autocommit
from common.tests.sample_service import bearer
from services.payments import usecases
from services.payments.open_cases import OpenCaseError, refund_was_refused
from services.payments.rechecks import re_check
from services.payments.refunds import REFUND_TRIES
from services.payments.tests.builders import (
    AMOUNT,
    CANCELLED,
    MESSAGE_CONTEXT,
    cancel,
    captured,
    check_books,
    deliver,
    delivery,
    held_by,
    payment_of,
    published,
    published_types,
    status_of,
    together,
)
from services.payments.tests.calls import PAYMENTS, answer, get, operator, problem, usd

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine
    from werkzeug.test import TestResponse

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.domain import Payment
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration
REFUSAL = {"kind": "refuse", "code": "charge_disputed", "match": {"operation": "refund"}}
REFUSED = "payment.refund_refused.v1"
BY_TRANSFER = {"reason": "by bank transfer", "reference": "TRF-7"}


def sweep(resources: Resources) -> int:
    return usecases.settle_unsettled(resources, idle_seconds=0, limit=100, should_continue=lambda: True)


def end_pause(engine: Engine, order_id: str) -> None:
    """Make the next try due."""
    due = text("UPDATE payments SET refund_due_at = clock_timestamp() WHERE order_id = :id AND refund_due_at > now()")
    with autocommit(engine) as connection:
        connection.execute(due, {"id": order_id})


def requests_for_refunds(engine: Engine, payment: Payment) -> list[tuple[str, str | None]]:
    """The order's refunds, oldest first, each with its status and failure reason."""
    query = text("SELECT status, code FROM refunds WHERE payment_id = :id ORDER BY id")
    with autocommit(engine) as connection:
        return [(status, code) for status, code in connection.execute(query, {"id": payment.id})]


def owed(resources: Resources, sandbox: SandboxProcess) -> Payment:
    """A payment of a cancelled order, whose refund was refused once."""
    payment = captured(resources)
    sandbox.set_faults(REFUSAL)
    cancel(resources, payment.order_id)
    return payment_of(resources.engine, payment.order_id)


def open_case(resources: Resources, sandbox: SandboxProcess) -> Payment:
    payment = owed(resources, sandbox)
    for _ in range(REFUND_TRIES - 1):
        end_pause(resources.engine, payment.order_id)
        assert sweep(resources) == 1
    return payment_of(resources.engine, payment.order_id)


def post(
    client: FlaskClient, payment: Payment, what: str, body: dict[str, Any], key: str | None = None
) -> TestResponse:
    headers = operator() | ({"Idempotency-Key": key} if key else {})
    return client.post(f"{PAYMENTS}/{payment.id}/refunds/{what}", json=body, headers=headers)


def listed(client: FlaskClient) -> list[str]:
    found = answer(client.get(f"{PAYMENTS}/standing-cases", headers=operator()), 200)
    return [each["id"] for each in found["data"]]


def test_a_permanently_refused_refund_becomes_an_open_case(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = owed(resources, sandbox)
    for _ in range(30):
        end_pause(resources.engine, payment.order_id)
        sweep(resources)
    assert requests_for_refunds(resources.engine, payment) == [("failed", "charge_disputed")] * REFUND_TRIES
    now = payment_of(resources.engine, payment.order_id)
    assert now.refusal is not None
    assert (now.refusal.is_open, now.refusal.code, now.refusal.tries) == (True, "charge_disputed", REFUND_TRIES)
    assert published_types(resources.engine, payment.order_id) == ["captured", "refund_refused"]
    assert held_by(sandbox, payment.order_id).net == AMOUNT


def test_no_retry_is_made_during_the_pause(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = owed(resources, sandbox)
    assert sweep(resources) == 0
    cancel(resources, payment.order_id)
    assert re_check(resources, payment.id, MESSAGE_CONTEXT).payment.status.value == "captured"
    assert len(requests_for_refunds(resources.engine, payment)) == 1
    assert payment.refusal is not None
    assert payment.refusal.retry_at is not None
    assert (payment.refusal.retry_at - payment.created_at).total_seconds() >= 60


def test_a_successful_retry_closes_the_case(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = owed(resources, sandbox)
    sandbox.set_faults()
    end_pause(resources.engine, payment.order_id)
    assert sweep(resources) == 1
    now = payment_of(resources.engine, payment.order_id)
    assert (now.status, now.refusal) == ("refunded", None)
    check_books(resources.engine, sandbox, payment.order_id)


def test_the_cancellation_event_is_handled_even_if_the_refund_is_refused(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    incoming = delivery(CANCELLED, payment.order_id)
    sandbox.set_faults(REFUSAL)
    deliver(resources, CANCELLED, payment.order_id, incoming=incoming)
    with pytest.raises(AlreadyHandled):
        deliver(resources, CANCELLED, payment.order_id, incoming=incoming)


def test_concurrent_tries_count_one_refusal(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = captured(resources)
    sandbox.set_faults(REFUSAL)
    together([lambda: cancel(resources, payment.order_id)] * 4)
    now = payment_of(resources.engine, payment.order_id)
    assert now.refusal is not None
    assert now.refusal.tries == len(requests_for_refunds(resources.engine, payment)) == 1


def test_the_refusal_event_is_a_dead_letter_until_an_operator_decides(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = open_case(resources, sandbox)
    (event,) = [event for event in published(resources.engine, payment.order_id) if event.type == REFUSED]
    assert event.data == {
        "order_id": payment.order_id,
        "payment_id": payment.id,
        "amount": usd(AMOUNT),
        "code": "charge_disputed",
        "tries": REFUND_TRIES,
    }
    incoming = delivery(REFUSED, payment.order_id)
    for _ in range(2):
        with pytest.raises(OpenCaseError, match=f"charge_disputed.*retry-refund {payment.id}"):
            refund_was_refused(resources, incoming, payment.order_id)
    answer(post(client, payment, "record", BY_TRANSFER), 201)
    refund_was_refused(resources, incoming, payment.order_id)


def test_only_operators_see_open_cases(client: FlaskClient, resources: Resources, sandbox: SandboxProcess) -> None:
    payment = open_case(resources, sandbox)
    waiting = captured(resources)
    assert listed(client) == [payment.id]
    shown = answer(get(client, f"/{payment.id}"), 200)
    assert shown["refund_refusal"]["tries"] == REFUND_TRIES
    assert shown["refund_refusal"]["standing_since"] is not None
    assert answer(get(client, f"/{waiting.id}"), 200)["refund_refusal"] is None
    assert problem(get(client, "/standing-cases")) == (403, "forbidden")
    for what, body in (("retry", {"reason": "x"}), ("record", {"reason": "x"})):
        url = f"{PAYMENTS}/{payment.id}/refunds/{what}"
        assert problem(client.post(url, json=body, headers=customer())) == (403, "forbidden")


def customer() -> dict[str, str]:
    return bearer(sub="customer-1")


def test_an_operator_retries_a_refused_refund(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = open_case(resources, sandbox)
    for _ in range(2):
        again = post(client, payment, "retry", {"reason": "the dispute was won"}, key="k")
        assert problem(again) == (409, "refund_refused")
    assert listed(client) == [payment.id]
    assert len(requests_for_refunds(resources.engine, payment)) == REFUND_TRIES + 2

    sandbox.set_faults()
    ended = answer(post(client, payment, "retry", {"reason": "the dispute was won"}, key="k"), 200)
    assert (ended["status"], ended["refunded"], ended["refund_refusal"]) == ("refunded", usd(AMOUNT), None)
    assert listed(client) == []
    assert published_types(resources.engine, payment.order_id) == [
        "captured",
        *("refund_refused", "refund_retried") * 3,
        "refunded",
    ]
    retried = published(resources.engine, payment.order_id)[2].data
    assert (retried["reason"], retried["requested_by"]) == ("the dispute was won", "operator-1")
    repeated = post(client, payment, "retry", {"reason": "the dispute was won"}, key="k")
    assert repeated.headers["Idempotent-Replayed"] == "true"
    assert problem(post(client, payment, "retry", {"reason": "again"})) == (409, "payment_not_refundable")
    check_books(resources.engine, sandbox, payment.order_id)


def test_a_retry_while_the_provider_is_down_continues_automatically(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = open_case(resources, sandbox)
    sandbox.set_faults({"kind": "error", "status": 503})
    assert problem(post(client, payment, "retry", {"reason": "try"}, key="k"))[0] == 503
    sandbox.set_faults()
    assert sweep(resources) == 1
    assert status_of(resources.engine, payment.order_id) == "refunded"
    check_books(resources.engine, sandbox, payment.order_id)


def test_money_returned_another_way_is_recorded(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = open_case(resources, sandbox)
    part = answer(post(client, payment, "record", BY_TRANSFER | {"amount": usd(500)}, key="part"), 201)
    assert (part["status"], part["refunded"], part["refunded_elsewhere"]) == ("partially_refunded", usd(500), usd(500))
    assert listed(client) == [payment.id]
    rest = answer(post(client, payment, "record", BY_TRANSFER), 201)
    assert (rest["status"], rest["refunded_elsewhere"], rest["refund_refusal"]) == ("refunded", usd(AMOUNT), None)
    assert listed(client) == []
    assert sweep(resources) == 0
    event = published(resources.engine, payment.order_id)[-1]
    assert event.type == "payment.refund_recorded.v1"
    assert event.data["recorded_by"] == "operator-1"
    assert (event.data["amount"], event.data["refunded"]) == (usd(AMOUNT - 500), usd(AMOUNT))
    assert (event.data["reason"], event.data["reference"]) == ("by bank transfer", "TRF-7")
    with autocommit(resources.engine) as connection:
        kept = connection.execute(text("SELECT amount, recorded_by FROM external_refunds ORDER BY id")).all()
    assert [tuple(row) for row in kept] == [(500, "operator-1"), (AMOUNT - 500, "operator-1")]
    assert problem(post(client, payment, "record", BY_TRANSFER)) == (409, "payment_not_refundable")
    assert held_by(sandbox, payment.order_id).net == AMOUNT  # the provider's view


def test_a_repeated_key_records_the_refund_once(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = open_case(resources, sandbox)
    body = BY_TRANSFER | {"amount": usd(500)}
    first = answer(post(client, payment, "record", body, key="k"), 201)
    assert answer(post(client, payment, "record", body, key="k"), 201) == first


def test_recording_is_rejected_while_the_refund_is_retried(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = owed(resources, sandbox)
    assert problem(post(client, payment, "record", BY_TRANSFER)) == (409, "refund_under_way")
    assert problem(post(client, captured(resources), "record", BY_TRANSFER | {"amount": usd(AMOUNT + 1)})) == (
        409,
        "amount_exceeds_remaining",
    )
    assert problem(post(client, payment, "record", {"reference": "x"})) == (422, "invalid_request")
    unknown = f"{PAYMENTS}/{new_id()}/refunds/record"
    assert problem(client.post(unknown, json=BY_TRANSFER, headers=operator())) == (404, "not_found")


def test_a_refund_made_directly_at_the_provider_is_looked_up(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment, other = captured(resources), captured(resources)
    made = sandbox.client().v1.refunds.create({"payment_intent": str(payment.provider_id), "amount": 700})
    cancel(resources, payment.order_id)  # more is requested than is left there
    body = {"reason": "on the provider's pages", "provider_refund_id": made.id}
    assert problem(post(client, other, "record", body)) == (422, "provider_refund_unusable")
    assert problem(post(client, payment, "record", body | {"provider_refund_id": "re_no"}))[0] == 422
    assert problem(post(client, payment, "record", body | {"amount": usd(1)})) == (422, "amount_mismatch")
    recorded = answer(post(client, payment, "record", body), 201)
    assert (recorded["refunded"], recorded["refunded_elsewhere"]) == (usd(700), usd(0))
    assert problem(post(client, payment, "record", body)) == (409, "refund_already_recorded")

    answer(post(client, payment, "retry", {"reason": "the rest"}), 200)
    assert held_by(sandbox, payment.order_id).net == 0
    assert payment_of(resources.engine, payment.order_id).refunded == AMOUNT
    ours = published(resources.engine, payment.order_id)[-1]
    listing = sandbox.client().v1.refunds.list({"payment_intent": str(payment.provider_id)})
    (known,) = [each.id for each in listing.data if each.amount == ours.data["amount"]["amount"]]
    assert problem(post(client, payment, "record", body | {"provider_refund_id": known}))[0] == 422
