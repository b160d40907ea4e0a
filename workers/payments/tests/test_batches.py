"""Batches of events: each order is charged once, and no order affects another."""

from __future__ import annotations

from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from common.messaging.inbox import Delivery
from common.storage.postgresql import transaction
from common.tests.query_plans import sent_statements
from services.payments import facts
from services.payments.batches import CHARGES_AT_ONCE, MAX_EVENTS, PaymentBatches
from services.payments.tests.builders import (
    WAIT_SECONDS,
    check_books,
    held_by,
    new_order,
    published,
    published_types,
    status_of,
)
from services.payments.tests.provider_hooks import interrupted
from workers.payments.consumers import read_fact
from workers.payments.tests.event_samples import CANCELLED, PLACED, RESERVED, TOTAL, event, receive

if TYPE_CHECKING:
    from common.messaging.events import Event
    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration
CONFIRMED = "order.confirmed.v1"


def receive_all(resources: Resources, *events: Event) -> list[bool | None]:
    return PaymentBatches(resources, read_fact).handle([Delivery("payments", each) for each in events])


def placed_orders(resources: Resources, count: int = 3) -> list[str]:
    orders = [new_order() for _ in range(count)]
    assert receive_all(resources, *[event(PLACED, order) for order in orders]) == [True] * count
    return orders


def test_the_orders_of_a_batch_are_charged_once_each(resources: Resources, sandbox: SandboxProcess) -> None:
    orders = placed_orders(resources)
    reserved = [event(RESERVED, order) for order in orders]
    assert receive_all(resources, *reserved) == [True] * 3
    assert receive_all(resources, *reserved) == [False] * 3
    assert receive_all(resources, *[event(CONFIRMED, order) for order in orders]) == [True] * 3
    for order, cause in zip(orders, reserved, strict=True):
        (captured,) = published(resources.engine, order)
        assert (captured.causationid, captured.correlationid) == (cause.id, cause.correlationid)
        assert (status_of(resources.engine, order), held_by(sandbox, order).net) == ("captured", TOTAL)
        check_books(resources.engine, sandbox, order)


def test_a_batch_sends_as_many_statements_as_one_event(resources: Resources) -> None:
    counts = []
    for size in (1, MAX_EVENTS):
        orders = placed_orders(resources, size)
        for kind in (RESERVED, CONFIRMED):
            with sent_statements(resources.engine) as sent:
                assert receive_all(resources, *[event(kind, order) for order in orders]) == [True] * size
            counts.append(len(sent))
    # The facts; the intents; the inbox, the locks, what is written, and the outbox. Confirmed: the facts and the inbox.
    assert counts == [6, 2, 6, 2]


def test_the_orders_of_a_batch_are_charged_concurrently(resources: Resources, sandbox: SandboxProcess) -> None:
    orders = placed_orders(resources, CHARGES_AT_ONCE)
    together = Barrier(CHARGES_AT_ONCE, timeout=WAIT_SECONDS)
    meeting = interrupted(resources)
    meeting.provider.__dict__["_reach"] = lambda moment: together.wait() if moment == "before_confirm" else None
    assert receive_all(meeting, *[event(RESERVED, order) for order in orders]) == [True] * CHARGES_AT_ONCE


def test_an_event_twice_in_a_batch_takes_effect_once(resources: Resources, sandbox: SandboxProcess) -> None:
    (order,) = placed_orders(resources, 1)
    reserved = event(RESERVED, order)
    outcomes = receive_all(resources, reserved, reserved)
    assert outcomes.count(True) == 1
    assert not receive(resources, reserved)
    assert published_types(resources.engine, order) == ["captured"]
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("kinds", [(PLACED, RESERVED), (RESERVED, PLACED)])
def test_all_events_of_an_order_may_be_in_one_batch(
    resources: Resources, sandbox: SandboxProcess, kinds: tuple[str, str]
) -> None:
    order = new_order()
    assert receive_all(resources, *[event(kind, order) for kind in kinds]) == [True, True]
    assert published_types(resources.engine, order) == ["captured"]
    check_books(resources.engine, sandbox, order)


def test_a_declined_card_does_not_affect_other_orders(resources: Resources, sandbox: SandboxProcess) -> None:
    orders = placed_orders(resources)
    declined = new_order()
    receive(resources, event(PLACED, declined, payment_method="pm_card_chargeDeclined"))
    reserved = event(RESERVED, declined)
    assert receive_all(resources, reserved, *[event(RESERVED, order) for order in orders]) == [None, True, True, True]
    assert receive(resources, reserved)
    assert published_types(resources.engine, declined) == ["declined"]
    check_books(resources.engine, sandbox, declined)


@pytest.mark.parametrize("moment", ["before_create", "after_create", "before_confirm", "after_confirm"])
def test_an_order_cancelled_during_its_charge_in_a_batch_is_refunded(
    resources: Resources, sandbox: SandboxProcess, moment: str
) -> None:
    """The worker that records the cancellation dies before it settles the payment."""
    (order,) = placed_orders(resources, 1)
    reserved = event(RESERVED, order)
    assert receive_all(
        interrupted(resources, **{moment: partial(request_cancellation, resources, order)}), reserved
    ) == [None]
    receive(resources, reserved)
    assert status_of(resources.engine, order) in ("cancelled", "refunded")
    assert held_by(sandbox, order).net == 0
    check_books(resources.engine, sandbox, order)


def request_cancellation(resources: Resources, order_id: str) -> None:
    with transaction(resources.engine) as connection:
        facts.record(connection, [facts.order_cancelled(order_id)])


def test_a_provider_outage_leaves_every_event_to_be_handled_alone(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    orders = placed_orders(resources)
    reserved = [event(RESERVED, order) for order in orders]
    sandbox.set_faults({"kind": "error"})
    assert receive_all(resources, *reserved) == [None] * 3
    sandbox.set_faults()
    for order, each in zip(orders, reserved, strict=True):
        assert receive(resources, each)
        assert published_types(resources.engine, order) == ["captured"]
        check_books(resources.engine, sandbox, order)


def test_events_that_a_batch_cannot_handle_are_handled_alone(resources: Resources) -> None:
    (order,) = placed_orders(resources, 1)
    cancelled = event(CANCELLED, order)
    assert receive_all(resources, cancelled, event(PLACED, new_order())) == [None, True]
    assert receive(resources, cancelled)
    assert status_of(resources.engine, order) == "cancelled"
