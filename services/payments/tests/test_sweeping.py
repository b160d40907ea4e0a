"""Unfinished payments are finished after a read at the provider; the orders of overdue ones are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import Unavailable, classify
from common.messaging.inbox import AlreadyHandled
from common.storage.postgresql import autocommit
from common.storage.pruning import prune_inbox
from services.payments import usecases
from services.payments.domain import RefundStatus
from services.payments.rechecks import re_check
from services.payments.refunding import RefundRequest, refund_payment
from services.payments.tests.builders import (
    CANCELLED,
    MESSAGE_CONTEXT,
    PLACED,
    RESERVED,
    cancel,
    captured,
    check_books,
    deliver,
    delivery,
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
from services.payments.tests.provider_hooks import Crash, crash, interrupted

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def sweep(resources: Resources, *, idle_seconds: float = 0, limit: int = 100) -> int:
    return usecases.settle_unsettled(resources, idle_seconds=idle_seconds, limit=limit, should_continue=lambda: True)


def lose_the_answer(sandbox: SandboxProcess, operation: str) -> None:
    sandbox.set_faults({"kind": "lost_answer", "match": {"operation": operation}, "remaining": 1})


def test_a_charge_with_a_lost_response_is_found_at_the_provider(resources: Resources, sandbox: SandboxProcess) -> None:
    order = new_order()
    place(resources, order)
    lose_the_answer(sandbox, "confirm")
    with pytest.raises(Exception) as lost:  # noqa: PT011 - stripe's own, which our table classes
        reserve(resources, order)
    assert classify(lost.value) is Unavailable
    assert (status_of(resources.engine, order), held_by(sandbox, order).charges) == ("pending", 1)

    assert sweep(resources, idle_seconds=60) == 0  # a worker may still be charging it
    assert sweep(resources) == 1
    assert sweep(resources) == 0
    assert status_of(resources.engine, order) == "captured"
    check_books(resources.engine, sandbox, order)


def test_a_charge_by_a_killed_worker_is_refunded_if_the_order_is_cancelled(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    order = new_order()
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), order)
    with pytest.raises(Crash):
        cancel(interrupted(resources, before_cancel=crash), order)
    assert held_by(sandbox, order).net > 0
    assert sweep(resources) == 1
    assert status_of(resources.engine, order) == "refunded"
    check_books(resources.engine, sandbox, order)


def test_a_pending_refund_is_finished_once(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = captured(resources)
    request = RefundRequest(payment_id=payment.id, amount=None, reason="broken")
    with pytest.raises(Crash):
        refund_payment(
            interrupted(resources, after_refund=crash),
            request,
            request_key=None,
            render=lambda *_: {},
            message_context=MESSAGE_CONTEXT,
        )
    assert sum(together([lambda: sweep(resources)] * 3)) >= 1
    assert sweep(resources) == 0
    assert status_of(resources.engine, payment.order_id) == "refunded"
    check_books(resources.engine, sandbox, payment.order_id)


def test_an_unsettleable_payment_does_not_block_others(resources: Resources, sandbox: SandboxProcess) -> None:
    stuck, fine = new_order(), new_order()
    for order in (stuck, fine):
        place(resources, order)
        with pytest.raises(Crash):
            reserve(interrupted(resources, before_confirm=crash), order)
    with autocommit(resources.engine) as connection:
        forget = text("UPDATE payments SET provider_id = 'pi_nobody_knows' WHERE order_id = :id")
        connection.execute(forget, {"id": stuck})
    for _ in range(2):
        assert sweep(resources, limit=1) == 1
    assert (status_of(resources.engine, stuck), status_of(resources.engine, fine)) == ("pending", "captured")
    check_books(resources.engine, sandbox, fine)


def test_an_outage_ends_the_run_and_the_next_one_continues(resources: Resources, sandbox: SandboxProcess) -> None:
    orders = [new_order() for _ in range(2)]
    for order in orders:
        place(resources, order)
        with pytest.raises(Crash):
            reserve(interrupted(resources, before_create=crash), order)
    sandbox.set_faults({"kind": "error", "status": 503, "remaining": 1})
    with pytest.raises(Exception) as outage:  # noqa: PT011 - stripe's own, which our table classes
        sweep(resources)
    assert classify(outage.value) is Unavailable
    assert sweep(resources) == 2
    assert [status_of(resources.engine, order) for order in orders] == ["captured", "captured"]


def test_a_re_check_settles_a_payment_and_does_not_change_a_settled_one(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    payment = captured(resources)
    assert re_check(resources, payment.id, MESSAGE_CONTEXT).payment == payment
    order = new_order()
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), order)
    unsettled = payment_of(resources.engine, order)
    for _ in range(2):
        assert re_check(resources, unsettled.id, MESSAGE_CONTEXT).payment.status.value == "captured"
    check_books(resources.engine, sandbox, order)


def ask(engine: Engine, quiet_seconds: float = 600) -> int:
    return usecases.ask_about_overdue(engine, quiet_seconds=quiet_seconds, limit=10)


def age(engine: Engine, order_id: str, seconds: float) -> None:
    older = "make_interval(secs => :s)"
    aged = text(f"""
        UPDATE payments SET created_at = created_at - {older}, updated_at = updated_at - {older},
                            asked_at = asked_at - {older}
        WHERE order_id = :id
    """)
    with autocommit(engine) as connection:
        connection.execute(aged, {"s": seconds, "id": order_id})


def test_the_end_of_overdue_orders_is_requested_with_backoff(resources: Resources, sandbox: SandboxProcess) -> None:
    engine, order, settled = resources.engine, new_order(), captured(resources).order_id
    usecases.order_was_confirmed(resources, delivery("order.confirmed.v1", settled), settled)
    place(resources, order)
    age(engine, settled, 10_000)
    assert ask(engine) == 0
    age(engine, order, 601)
    assert sum(together([lambda: ask(engine)] * 4)) == 1
    age(engine, order, 601)
    assert ask(engine) == 0
    age(engine, order, 601)
    assert ask(engine) == 1
    assert published_types(engine, order) == ["overdue", "overdue"]

    reserve(resources, order)
    assert [(event.type, event.sequence) for event in published(engine, order)][-1] == ("payment.captured.v1", 3)
    check_books(engine, sandbox, order)
    usecases.order_was_confirmed(resources, delivery("order.confirmed.v1", order), order)
    age(engine, order, 100_000)
    assert ask(engine) == 0


def test_the_order_of_a_captured_payment_is_requested_until_its_end_is_known(
    resources: Resources, sandbox: SandboxProcess
) -> None:
    engine = resources.engine
    unknown, confirmed, cancelled = (captured(resources).order_id for _ in range(3))
    usecases.order_was_confirmed(resources, delivery("order.confirmed.v1", confirmed), confirmed)
    cancel(resources, cancelled)
    for order in (unknown, confirmed, cancelled):
        age(engine, order, 500)
    assert ask(engine) == 0
    for order in (unknown, confirmed, cancelled):
        age(engine, order, 101)
    assert sum(together([lambda: ask(engine)] * 4)) == 1
    assert (published_types(engine, unknown), published_types(engine, confirmed)) == (
        ["captured", "overdue"],
        ["captured"],
    )
    age(engine, unknown, 1_100)
    assert ask(engine) == 0
    age(engine, unknown, 101)
    assert ask(engine) == 1

    cancel(resources, unknown)  # the reply
    assert status_of(engine, unknown) == "refunded"
    age(engine, unknown, 100_000)
    assert ask(engine) == 0
    check_books(engine, sandbox, unknown)


def test_a_redelivery_after_the_inbox_was_pruned_changes_nothing(resources: Resources, sandbox: SandboxProcess) -> None:
    engine, order = resources.engine, new_order()
    incoming = {kind: delivery(kind, order) for kind in (PLACED, RESERVED, CANCELLED)}
    for kind, each in incoming.items():
        deliver(resources, kind, order, incoming=each)
    with pytest.raises(AlreadyHandled):
        deliver(resources, PLACED, order, incoming=incoming[PLACED])
    before, events = payment_of(engine, order), published_types(engine, order)
    assert events == ["captured", "refunded"]
    assert prune_inbox(engine, lambda: True, older_seconds=0) == 3
    for kind, each in reversed(incoming.items()):
        deliver(resources, kind, order, incoming=each)
    assert (payment_of(engine, order), published_types(engine, order)) == (before, events)
    check_books(engine, sandbox, order)


def test_a_refund_stays_pending_while_the_provider_is_down(resources: Resources, sandbox: SandboxProcess) -> None:
    payment = captured(resources)
    sandbox.set_faults({"kind": "error", "status": 500, "match": {"operation": "refund"}})
    with pytest.raises(Exception):  # noqa: B017, PT011 - stripe's own
        cancel(resources, payment.order_id)
    sandbox.set_faults()
    assert sweep(resources) == 1
    with autocommit(resources.engine) as connection:
        statuses = connection.execute(text("SELECT status FROM refunds")).scalars().all()
    assert statuses == [RefundStatus.SUCCEEDED]
    check_books(resources.engine, sandbox, payment.order_id)
