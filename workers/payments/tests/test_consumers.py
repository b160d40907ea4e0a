"""Every event twice, late and out of order, through the table of handlers, on a real database and a real sandbox."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import InvalidEventError
from services.payments.tests.builders import check_books, held_by, new_order, published, published_types, status_of
from workers.payments.consumers import HANDLERS
from workers.payments.tests.event_samples import CANCELLED, PLACED, RESERVED, TOTAL, event, receive

if TYPE_CHECKING:
    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration
HISTORIES = [
    *permutations([PLACED]),
    *permutations([RESERVED]),
    *permutations([CANCELLED]),
    *permutations([PLACED, RESERVED]),
    *permutations([PLACED, CANCELLED]),
    *permutations([RESERVED, CANCELLED]),
    *permutations([PLACED, RESERVED, CANCELLED]),
]


def expected(history: tuple[str, ...]) -> tuple[str, list[str]]:
    """The final status, and the published events."""
    if CANCELLED in history:
        charged = history[-1] == CANCELLED and len(history) == 3
        return ("refunded", ["captured", "refunded"]) if charged else ("cancelled", [])
    return ("captured", ["captured"]) if len(history) == 2 else ("pending", [])


@pytest.mark.parametrize("history", HISTORIES, ids="-".join)
def test_golden_samples_are_handled_once_each_in_any_order(
    resources: Resources, sandbox: SandboxProcess, history: tuple[str, ...]
) -> None:
    order = new_order()
    events = [event(kind, order) for kind in history]
    for incoming in events:
        assert receive(resources, incoming)
        assert not receive(resources, incoming)
    for incoming in reversed(events):
        assert not receive(resources, incoming)
        receive(resources, event(incoming.type, order))  # a replay after the inbox was pruned
    status, types = expected(history)
    assert status_of(resources.engine, order) == status
    assert published_types(resources.engine, order) == types
    assert held_by(sandbox, order).net == (TOTAL if status == "captured" else 0)
    check_books(resources.engine, sandbox, order)


def test_published_events_name_the_consumed_event_as_their_cause(resources: Resources) -> None:
    order = new_order()
    reserved = event(RESERVED, order)
    receive(resources, event(PLACED, order))
    receive(resources, reserved)
    (captured,) = published(resources.engine, order)
    assert (captured.causationid, captured.correlationid, captured.traceparent) == (
        reserved.id,
        reserved.correlationid,
        reserved.traceparent,
    )


def test_unused_fields_may_change(resources: Resources) -> None:
    order = new_order()
    total = {"amount": 500, "currency": "eur", "display": "5 euros"}
    receive(resources, event(PLACED, order, items="many", gift_wrap=True, total=total))
    receive(resources, event(RESERVED, order, items=None, warehouse="north"))
    (captured,) = published(resources.engine, order)
    assert captured.data["amount"] == {"amount": 500, "currency": "eur"}


@pytest.mark.parametrize(
    "changes",
    [
        {"order_id": "42"},
        {"order_id": None},
        {"customer_id": ""},
        {"total": 4648},
        {"total": {"amount": 1.5, "currency": "usd"}},
        {"total": {"amount": -1, "currency": "usd"}},
        {"total": {"amount": 10**12, "currency": "usd"}},
        {"total": {"amount": 1, "currency": "xxx"}},
        {"payment_method": None},
        {"payment_method": "x" * 256},
        {"payment_method": "nul \x00"},
    ],
)
def test_a_malformed_event_is_rejected_permanently(resources: Resources, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventError):
        receive(resources, event(PLACED, new_order(), **changes))


@pytest.mark.parametrize("kind", [RESERVED, CANCELLED])
def test_a_fact_without_an_order_is_rejected_permanently(resources: Resources, kind: str) -> None:
    with pytest.raises(InvalidEventError):
        receive(resources, event(kind, "no-order"))


def test_there_is_a_handler_for_each_event_that_payments_consumes() -> None:
    assert set(HANDLERS) == {PLACED, RESERVED, CANCELLED, "order.confirmed.v1", "payment.refund_refused.v1"}
