"""Races between an order's cancellation and its charge at each step, with processes that die in between."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from common.storage.postgresql import autocommit
from services.payments import facts
from services.payments.tests.builders import (
    CANCELLED,
    PLACED,
    RESERVED,
    WAIT_SECONDS,
    cancel,
    check_books,
    deliver,
    delivery,
    held_by,
    new_order,
    payment_of,
    place,
    published_types,
    reserve,
    status_of,
    together,
    until_done,
)
from services.payments.tests.provider_hooks import Crash, crash, interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration

OF_A_CHARGE = ("before_create", "after_create", "before_confirm", "after_confirm")


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_chargeDeclined"])
@pytest.mark.parametrize("moment", OF_A_CHARGE)
def test_an_order_cancelled_during_its_charge_is_refunded(
    resources: Resources, sandbox: SandboxProcess, moment: str, method: str
) -> None:
    order = new_order()
    place(resources, order, method)
    reserve(interrupted(resources, **{moment: partial(cancel, resources, order)}), order)
    took_place = moment == "after_confirm" and method == "pm_card_visa"
    assert status_of(resources.engine, order) == ("refunded" if took_place else "cancelled")
    assert published_types(resources.engine, order) == (["captured", "refunded"] if took_place else [])
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("moment", OF_A_CHARGE)
def test_the_charging_worker_refunds_if_the_cancelling_worker_dies(
    resources: Resources, sandbox: SandboxProcess, moment: str
) -> None:
    order = new_order()
    place(resources, order)

    def receive_it_and_die() -> None:
        with autocommit(resources.engine) as connection:
            facts.record(connection, [facts.order_cancelled(order)])

    reserve(interrupted(resources, **{moment: receive_it_and_die}), order)
    assert status_of(resources.engine, order) in {"cancelled", "refunded"}
    check_books(resources.engine, sandbox, order)
    cancel(resources, order)
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("moment", [*OF_A_CHARGE, "before_retrieve", "after_retrieve"])
@pytest.mark.parametrize("fact", [CANCELLED, RESERVED])
def test_a_charge_is_made_once_if_a_worker_dies_during_it(
    resources: Resources, sandbox: SandboxProcess, moment: str, fact: str
) -> None:
    order = new_order()
    incoming = delivery(RESERVED, order)
    place(resources, order)
    if "retrieve" in moment:
        with pytest.raises(Crash):
            deliver(interrupted(resources, after_confirm=crash), RESERVED, order, incoming=incoming)
    with pytest.raises(Crash):
        deliver(interrupted(resources, **{moment: crash}), RESERVED, order, incoming=incoming)
    assert published_types(resources.engine, order) == []
    if fact == CANCELLED:
        cancel(resources, order)
        assert held_by(sandbox, order).net == 0
    deliver(resources, RESERVED, order, incoming=incoming)  # the broker delivers it again
    assert held_by(sandbox, order).charges <= 1
    check_books(resources.engine, sandbox, order)
    if fact == RESERVED:
        assert published_types(resources.engine, order) == ["captured"]
        assert held_by(sandbox, order).intents == 1


def test_a_charge_is_made_once_if_another_worker_made_it_and_died(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    order = new_order()
    place(resources, order)

    def charge_and_die() -> None:
        with suppress(Crash):
            reserve(interrupted(resources, after_confirm=crash), order)

    reserve(interrupted(resources, before_confirm=charge_and_die), order)
    assert published_types(resources.engine, order) == ["captured"]
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("moment", ["before_cancel", "after_cancel", "before_refund", "after_refund"])
@pytest.mark.parametrize("charged", [True, False])
def test_a_compensation_is_made_once_if_a_worker_dies_during_it(
    resources: Resources, sandbox: SandboxProcess, moment: str, charged: bool
) -> None:
    order = new_order()
    incoming = delivery(CANCELLED, order)
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, **{"after_confirm" if charged else "before_confirm": crash}), order)
    dies = charged or "cancel" in moment
    if dies:
        with pytest.raises(Crash):
            deliver(interrupted(resources, **{moment: crash}), CANCELLED, order, incoming=incoming)
    deliver(resources, CANCELLED, order, incoming=incoming)
    assert status_of(resources.engine, order) == ("refunded" if charged else "cancelled")
    assert published_types(resources.engine, order) == (["captured", "refunded"] if charged else [])
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("last", ["charge", "cancel"])
def test_an_intent_confirmed_before_its_cancellation_is_refunded(
    resources: Resources, sandbox: SandboxProcess, last: str
) -> None:
    order = new_order()
    place(resources, order)
    wished, confirmed, finished = threading.Event(), threading.Event(), threading.Event()

    def wait(event: threading.Event) -> None:
        assert event.wait(WAIT_SECONDS)

    def after_confirm() -> None:
        confirmed.set()
        if last == "charge":
            wait(finished)

    def before_cancel() -> None:
        wished.set()
        wait(confirmed)

    charging = interrupted(resources, before_confirm=lambda: wait(wished), after_confirm=after_confirm)
    cancelling = interrupted(resources, before_cancel=before_cancel)

    def undo() -> None:
        while payment_of(resources.engine, order).provider_id is None:
            time.sleep(0.005)
        until_done(partial(cancel, cancelling, order))
        finished.set()

    # Both may request the same refund concurrently, and one of them must retry.
    assert together([partial(until_done, partial(reserve, charging, order)), undo]) == ["done", None]
    assert published_types(resources.engine, order) == ["captured", "refunded"]
    check_books(resources.engine, sandbox, order)


def test_a_slow_confirmation_and_a_cancellation_leave_no_captured_money(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    sandbox.set_faults({"kind": "latency", "seconds": 0.3, "match": {"operation": "confirm"}})
    order = new_order()
    place(resources, order)

    def undo() -> None:
        time.sleep(0.15)
        until_done(partial(cancel, resources, order))

    assert together([partial(until_done, partial(reserve, resources, order)), undo]) == ["done", None]
    assert status_of(resources.engine, order) in {"cancelled", "refunded"}
    check_books(resources.engine, sandbox, order)


def test_one_event_delivered_to_several_workers_charges_once(resources: Resources, sandbox: SandboxProcess) -> None:
    order = new_order()
    incoming = delivery(RESERVED, order)
    place(resources, order)
    outcomes = together([partial(until_done, partial(deliver, resources, RESERVED, order, incoming=incoming))] * 4)
    assert sorted(map(str, outcomes)) == ["done", "duplicate", "duplicate", "duplicate"]
    assert published_types(resources.engine, order) == ["captured"]
    check_books(resources.engine, sandbox, order)


@pytest.mark.parametrize("seed", range(3))
def test_concurrent_events_with_a_failing_provider_keep_the_books_consistent(
    resources: Resources, sandbox: SandboxProcess, seed: int
) -> None:
    chance = random.Random(seed)
    sandbox.set_faults(
        {"kind": "error", "rate": 0.15, "seed": seed},
        {"kind": "lost_answer", "rate": 0.15, "seed": seed + 100},
        {"kind": "error_after", "rate": 0.15, "seed": seed + 200},
        {"kind": "latency", "seconds": 0.0, "jitter_seconds": 0.03, "rate": 0.5},
    )
    orders = {new_order(): chance.choice(["pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined"]) for _ in range(8)}
    undone = {order for order in orders if chance.random() < 0.6}
    calls = []
    for order, method in orders.items():
        for fact in [PLACED, RESERVED, *([CANCELLED] if order in undone else [])]:
            incoming = delivery(fact, order)
            calls += [partial(deliver, resources, fact, order, incoming=incoming, method=method)] * 2
    chance.shuffle(calls)
    outcomes = together(partial(_work, calls[number::8]) for number in range(8))
    assert sum(work.count("duplicate") for work in outcomes) >= len(calls) / 2
    assert any(fault["struck"] for fault in sandbox.get("/faults").json()["data"] if fault["kind"] != "latency")
    sandbox.set_faults()
    for order, method in orders.items():
        check_books(resources.engine, sandbox, order)
        if order not in undone:
            expected = "captured" if method == "pm_card_visa" else "declined"
            assert published_types(resources.engine, order) == [expected]


def _work(calls: Sequence[Callable[[], None]]) -> list[str]:
    return [until_done(call) for call in calls]
