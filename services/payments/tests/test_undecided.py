"""An undecided charge or refund waits without affecting others, and ends with the provider's decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import Undecided
from common.storage.postgresql import autocommit
from services.payments import usecases
from services.payments.open_cases import OpenCaseError, refund_was_refused
from services.payments.tests.builders import (
    AMOUNT,
    cancel,
    captured,
    check_books,
    delivery,
    held_by,
    new_order,
    payment_of,
    place,
    published_types,
    reserve,
    status_of,
)
from services.payments.tests.calls import REASON, answer, problem, refund, usd
from services.payments.tests.provider_hooks import Crash, crash, interrupted
from services.payments.tests.test_open_cases import BY_TRANSFER, REFUSED, listed, post, requests_for_refunds

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.domain import Payment
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration
CHARGES = {"kind": "undecided", "match": {"operation": "confirm"}}
REFUNDS = {"kind": "undecided", "match": {"operation": "refund"}}


def sweep(resources: Resources, *, idle_seconds: float = 0) -> int:
    return usecases.settle_unsettled(resources, idle_seconds=idle_seconds, limit=100, should_continue=lambda: True)


def charged_undecided(
    resources: Resources, sandbox: SandboxProcess, outcome: str, *, remaining: int | None = None
) -> str:
    order = new_order()
    place(resources, order)
    sandbox.set_faults(CHARGES | {"outcome": outcome, "remaining": remaining})
    with pytest.raises(Undecided):
        reserve(resources, order)
    assert status_of(resources.engine, order) == "pending"
    return order


def refunded_undecided(resources: Resources, sandbox: SandboxProcess, **fault: str) -> Payment:
    payment = captured(resources)
    sandbox.set_faults(REFUNDS | fault)
    for _ in range(2):
        with pytest.raises(Undecided):
            cancel(resources, payment.order_id)
    return payment_of(resources.engine, payment.order_id)


def age(engine: Engine, payment: Payment, seconds: float) -> None:
    """Backdate the payment and its refunds by that long."""
    aged = text("""
        WITH refunds_aged AS (
            UPDATE refunds SET created_at = created_at - make_interval(secs => :s),
                               updated_at = updated_at - make_interval(secs => :s)
            WHERE payment_id = :id
        )
        UPDATE payments SET updated_at = updated_at - make_interval(secs => :s) WHERE id = :id
    """)
    with autocommit(engine) as connection:
        connection.execute(aged, {"s": seconds, "id": payment.id})


@pytest.mark.parametrize(("outcome", "status"), [("succeeded", "captured"), ("failed", "declined")])
def test_a_charge_ends_as_the_provider_decides(
    resources: Resources, sandbox: SandboxProcess, outcome: str, status: str
) -> None:
    order = charged_undecided(resources, sandbox, outcome)
    with pytest.raises(Undecided):
        reserve(resources, order)
    assert published_types(resources.engine, order) == []
    sandbox.set_faults()
    reserve(resources, order)
    assert (status_of(resources.engine, order), published_types(resources.engine, order)) == (status, [status])
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize(
    ("outcome", "status", "events"), [("succeeded", "refunded", ["captured", "refunded"]), ("failed", "cancelled", [])]
)
def test_an_order_cancelled_while_its_charge_is_undecided_keeps_no_money(
    resources: Resources, sandbox: SandboxProcess, outcome: str, status: str, events: list[str]
) -> None:
    order = charged_undecided(resources, sandbox, outcome)
    with pytest.raises(Undecided):
        cancel(resources, order)
    assert payment_of(resources.engine, order).cancel_requested
    assert sweep(resources) == 1
    sandbox.set_faults()  # it is decided a day later, when only the sweep polls it
    assert sweep(resources) == 1
    assert (status_of(resources.engine, order), published_types(resources.engine, order)) == (status, events)
    check_books(resources.engine, sandbox, order)


def test_an_undecided_payment_is_polled_with_backoff(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = refunded_undecided(resources, sandbox)
    pauses = []
    for _ in range(8):
        seconds = 0
        while sweep(resources, idle_seconds=60) == 0:
            age(resources.engine, payment, 60)
            seconds += 60
        pauses.append(seconds)
    assert pauses[:3] == [60, 120, 240]
    assert pauses[-1] <= 64 * 60
    assert requests_for_refunds(resources.engine, payment) == [("pending", None)]


def test_an_undecided_payment_does_not_block_others(resources: Resources, sandbox: SandboxProcess) -> None:
    undecided = charged_undecided(resources, sandbox, "succeeded", remaining=1)
    fine = new_order()
    place(resources, fine)
    with pytest.raises(Crash):
        reserve(interrupted(resources, before_confirm=crash), fine)
    assert sweep(resources) == 2
    assert (status_of(resources.engine, undecided), status_of(resources.engine, fine)) == ("pending", "captured")


@pytest.mark.parametrize("state", ["pending", "requires_action"])
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_refund_ends_as_the_provider_decides(
    resources: Resources, sandbox: SandboxProcess, state: str, outcome: str
) -> None:
    payment = refunded_undecided(resources, sandbox, state=state, outcome=outcome)
    assert sweep(resources) == 1
    assert requests_for_refunds(resources.engine, payment) == [("pending", None)]
    assert published_types(resources.engine, payment.order_id) == ["captured"]
    sandbox.set_faults()
    assert sweep(resources) == 1
    if outcome == "failed":  # retried after a pause
        assert requests_for_refunds(resources.engine, payment) == [("failed", "declined")]
        with autocommit(resources.engine) as connection:
            connection.execute(text("UPDATE payments SET refund_due_at = clock_timestamp()"))
        assert sweep(resources) == 1
    assert status_of(resources.engine, payment.order_id) == "refunded"
    check_books(resources.engine, sandbox, payment.order_id)


def test_an_operators_undecided_refund_ends_automatically(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    sandbox.set_faults(REFUNDS)
    shown = answer(refund(client, payment.id, {"amount": usd(500)} | REASON, key="k"), 201)
    assert (shown["status"], shown["refunded"]) == ("pending", usd(0))
    assert answer(refund(client, payment.id, {"amount": usd(500)} | REASON, key="k"), 201) == shown
    too_much = {"amount": usd(AMOUNT - 499)} | REASON
    assert problem(refund(client, payment.id, too_much)) == (409, "amount_exceeds_remaining")
    sandbox.set_faults()
    assert sweep(resources) == 1
    assert status_of(resources.engine, payment.order_id) == "partially_refunded"
    check_books(resources.engine, sandbox, payment.order_id)


def test_a_refund_undecided_for_a_day_is_an_open_case_until_it_is_decided(
    client: FlaskClient, resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = refunded_undecided(resources, sandbox)
    sweep(resources)
    assert listed(client) == []
    age(resources.engine, payment, 25 * 3600)
    for _ in range(2):
        assert sweep(resources) == 1
    assert listed(client) == [payment.id]
    assert published_types(resources.engine, payment.order_id) == ["captured", "refund_refused"]
    incoming = delivery(REFUSED, payment.order_id)
    with pytest.raises(OpenCaseError, match="undecided"):
        refund_was_refused(resources, incoming, payment.order_id)
    assert problem(post(client, payment, "record", BY_TRANSFER)) == (409, "payment_not_refundable")
    assert problem(post(client, payment, "retry", REASON)) == (503, "payment_provider_undecided")

    sandbox.set_faults()
    assert sweep(resources) == 1
    assert (status_of(resources.engine, payment.order_id), listed(client)) == ("refunded", [])
    refund_was_refused(resources, incoming, payment.order_id)
    assert held_by(sandbox, payment.order_id).net == 0
