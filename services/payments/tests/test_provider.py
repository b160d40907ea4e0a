"""A failing provider: no call hangs, no event becomes a dead letter, and nothing is charged twice."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from common.resilience.circuit_breaker import Breaker
from services.payments.domain import Payment, Refund, RefundKind, RefundStatus
from services.payments.provider import Provider
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
from services.payments.tests.provider_answers import BOUND_SECONDS, out_of_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration

FAULTS: list[dict[str, Any]] = [
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 503},
    {"kind": "error_after", "status": 500},
    {"kind": "rate_limit"},
    {"kind": "reset"},
    {"kind": "lost_answer"},
    {"kind": "hang", "seconds": 5},
    {"kind": "hang", "seconds": 5, "after": True},
    {"kind": "latency", "seconds": 5 * BOUND_SECONDS},
    *({"kind": "nonsense", "body": body} for body in ("html", "bytes", "empty", "json")),
    *({"kind": "nonsense", "body": body, "after": True} for body in ("html", "json")),
]


def name_of(value: Any) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [*(("confirm", fault) for fault in FAULTS), *(("create", fault) for fault in FAULTS[::2])],
    ids=name_of,
)
def test_a_charge_survives_an_outage(
    impatient: Resources, sandbox: SandboxProcess, operation: str, fault: dict[str, Any]
) -> None:
    order = new_order()
    incoming = delivery(RESERVED, order)
    place(impatient, order)
    sandbox.set_faults(fault | {"match": {"operation": operation}, "remaining": 2})
    out_of_order(impatient, RESERVED, incoming)
    # Both attempts may store a 500: a key with a stored 500 is abandoned, and so is the next one.
    assert until_done(partial(deliver, impatient, RESERVED, order, incoming=incoming)) == "done"
    assert published_types(impatient.engine, order) == ["captured"]
    assert held_by(sandbox, order).captured == AMOUNT
    check_books(impatient.engine, sandbox, order)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [*(("refund", fault) for fault in FAULTS[::2]), *(("list_refunds", fault) for fault in FAULTS[1::4])],
    ids=name_of,
)
def test_a_compensation_survives_an_outage(
    resources: Resources, impatient: Resources, sandbox: SandboxProcess, operation: str, fault: dict[str, Any]
) -> None:
    order = captured(resources).order_id
    incoming = delivery(CANCELLED, order)
    sandbox.set_faults(fault | {"match": {"operation": operation}, "remaining": 1})
    out_of_order(impatient, CANCELLED, incoming)
    assert until_done(partial(deliver, impatient, CANCELLED, order, incoming=incoming)) == "done"
    assert published_types(impatient.engine, order) == ["captured", "refunded"]
    check_books(impatient.engine, sandbox, order)


class Overtaken(Provider):
    """Calls a hook after this worker has searched for a refund and before it requests one."""

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
def test_concurrent_requests_for_one_refund_survive_a_lost_response(
    resources: Resources, sandbox: SandboxProcess, kind: str | None
) -> None:
    payment = captured(resources)
    assert payment.provider_id is not None
    made = a_refund_of(payment, 500)

    def act() -> None:
        if kind:
            sandbox.set_faults({"kind": kind, "match": {"operation": "refund"}, "remaining": 1})
        with suppress(stripe.StripeError):
            resources.provider.refund(str(payment.provider_id), made)

    _, status, _ = Overtaken(sandbox, act).refund(payment.provider_id, made)
    assert status is RefundStatus.SUCCEEDED
    assert held_by(sandbox, payment.order_id).refunded == made.amount


def test_a_refund_refused_as_already_made_succeeds(resources: Resources, sandbox: SandboxProcess) -> None:
    """Like after the provider has forgotten the key, which it keeps for a day."""
    payment = captured(resources)
    assert payment.provider_id is not None
    made = a_refund_of(payment, AMOUNT)

    def act() -> None:
        metadata = {"refund_id": made.id}
        sandbox.client().v1.refunds.create({"payment_intent": str(payment.provider_id), "metadata": metadata})

    assert Overtaken(sandbox, act).refund(payment.provider_id, made)[1] is RefundStatus.SUCCEEDED
    assert held_by(sandbox, payment.order_id).refunded == AMOUNT


@pytest.mark.parametrize("kind", ["error", "error_after", "lost_answer", "nonsense"])
@pytest.mark.parametrize("operation", ["cancel", "retrieve"])
def test_a_cancellation_survives_an_outage(
    resources: Resources, sandbox: SandboxProcess, kind: str, operation: str
) -> None:
    """An open intent is cancelled in spite of failures on the way."""
    order = new_order()
    place(resources, order)
    sandbox.set_faults({"kind": "error", "match": {"operation": "confirm"}})
    out_of_order(resources, RESERVED, delivery(RESERVED, order))
    incoming = delivery(CANCELLED, order)
    if operation == "retrieve":  # called only after the cancellation's response was lost
        sandbox.set_faults({"kind": "lost_answer", "match": {"operation": "cancel"}, "remaining": 1})
        out_of_order(resources, CANCELLED, incoming)
    if (operation, kind) != ("retrieve", "error_after"):
        sandbox.set_faults({"kind": kind, "match": {"operation": operation}, "remaining": 1})
        out_of_order(resources, CANCELLED, incoming)
    sandbox.set_faults()
    deliver(resources, CANCELLED, order, incoming=incoming)
    assert held_by(sandbox, order).statuses == ("canceled",)
    assert payment_of(resources.engine, order).status == "cancelled"
