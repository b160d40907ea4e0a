"""A sweep finds exactly the payments with a `next_step`, and pending refunds."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.storage.postgresql import transaction
from services.payments import domain, models, usecases
from services.payments.domain import Status, Step
from services.payments.refunding import RefundRequest, refund_payment
from services.payments.tests.builders import (
    MESSAGE_CONTEXT,
    captured,
    check_books,
    held_by,
    new_order,
    payment_of,
    place,
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

_INSERT = text("""
    INSERT INTO payments (id, order_id, order_known, stock_reserved, cancel_requested, customer_id, amount, currency,
                          method, status, decline_code, provider_id, closed)
    SELECT gen_random_uuid(), gen_random_uuid(), :known, :reserved, :cancelled, 'c', 1, 'usd', 'm', :status,
           CASE WHEN :status = 'declined' THEN 'x' END, CASE WHEN :intent AND :known THEN 'pi' END, :closed
""")


def unsettled(engine: Engine, idle_seconds: float = 0) -> set[str]:
    return set(usecases.unsettled_orders(engine, idle_seconds=idle_seconds, limit=1000))


def test_the_unsettled_query_agrees_with_the_next_step(engine: Engine) -> None:
    names = ("known", "reserved", "cancelled", "intent", "closed")
    with transaction(engine) as connection:
        for status, flags in product(Status, product([False, True], repeat=len(names))):
            values: dict[str, object] = dict(zip(names, flags, strict=True))
            connection.execute(_INSERT, values | {"status": status.value})
        orders = connection.execute(text("SELECT order_id::text FROM payments")).scalars().all()
        payments = [models.of_order(connection, order) for order in orders]
    wanting = {made.order_id for made in payments if made and domain.next_step(made) is not Step.NOTHING}
    assert 0 < len(wanting) < len(orders)
    assert unsettled(engine) == wanting
    assert unsettled(engine, idle_seconds=60) == set()


def test_an_abandoned_charge_and_refund_are_finished(resources: Resources, sandbox: SandboxProcess) -> None:
    charged, given_back = new_order(), captured(resources)
    place(resources, charged)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), charged)
    request = RefundRequest(payment_id=given_back.id, amount=None, reason="broken")
    with pytest.raises(Crash):
        refund_payment(
            interrupted(resources, after_refund=crash),
            request,
            request_key=None,
            render=lambda *_: {},
            message_context=MESSAGE_CONTEXT,
        )
    found = unsettled(resources.engine)
    assert found == {charged, given_back.order_id}

    assert (
        together(partial(usecases.settle_order, resources, order, MESSAGE_CONTEXT) for order in [*found] * 2)
        == [None] * 4
    )
    assert status_of(resources.engine, charged) == "captured"
    assert payment_of(resources.engine, given_back.order_id).refunded == 1999
    assert published_types(resources.engine, given_back.order_id) == ["captured", "refunded"]
    assert held_by(sandbox, given_back.order_id).refunded == 1999
    assert unsettled(resources.engine) == set()
    for order in found:
        check_books(resources.engine, sandbox, order)


def test_settling_an_order_that_is_unknown_does_nothing(resources: Resources) -> None:
    usecases.settle_order(resources, new_order(), MESSAGE_CONTEXT)
