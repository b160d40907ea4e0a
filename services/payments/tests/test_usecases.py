"""Facts are committed before the provider is called, and no transaction is open during the call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import NotFound
from common.messaging.events import new_id
from common.storage.postgresql import autocommit
from services.payments import usecases
from services.payments.refunding import RefundRequest, refund_payment
from services.payments.tests.builders import (
    CUSTOMER,
    MESSAGE_CONTEXT,
    cancel,
    captured,
    new_order,
    payment_of,
    place,
    reserve,
    status_of,
)
from services.payments.tests.provider_hooks import Crash, crash, interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from services.payments.resources import Resources

pytestmark = pytest.mark.integration

# Only in this database: other tests may run concurrently.
_OPEN = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in trans%'")
CALLS = ("create", "retrieve", "confirm", "cancel", "refund")


def watch(engine: Engine) -> tuple[list[str], dict[str, Callable[[], None]]]:
    """Records the calls to the provider, and checks each of them."""
    seen: list[str] = []

    def record(name: str) -> None:
        seen.append(name)
        with autocommit(engine) as connection:
            assert connection.execute(_OPEN).scalar_one() == 0, name

    return seen, {f"before_{name}": partial(record, name) for name in CALLS}


def test_no_transaction_is_open_during_a_call_to_the_provider(resources: Resources) -> None:
    seen, moments = watch(resources.engine)
    watched = interrupted(resources, **moments)
    late, declined = new_order(), new_order()
    place(resources, late)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), late)
    reserve(watched, late)
    cancel(watched, late)
    place(resources, declined, "pm_card_chargeDeclined")
    reserve(watched, declined)
    assert sorted(seen) == sorted(CALLS)

    _, moments = watch(resources.engine)
    request = RefundRequest(payment_id=captured(resources).id, amount=None, reason="x")
    refund_payment(
        interrupted(resources, **moments),
        request,
        request_key=None,
        render=lambda *_: {},
        message_context=MESSAGE_CONTEXT,
    )


def test_a_fact_is_stored_even_if_the_provider_fails(resources: Resources) -> None:
    order = new_order()
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, before_create=crash), order)
    assert payment_of(resources.engine, order).stock_reserved
    with pytest.raises(Crash):
        reserve(interrupted(resources, before_confirm=crash), order)
    with pytest.raises(Crash):
        cancel(interrupted(resources, before_cancel=crash), order)
    assert payment_of(resources.engine, order).cancel_requested
    assert status_of(resources.engine, order) == "pending"


def test_a_customer_reads_only_their_own_payments(resources: Resources) -> None:
    engine, payment = resources.engine, captured(resources)
    assert usecases.get_payment(engine, payment.id, customer_id=CUSTOMER) == payment
    assert usecases.get_payment(engine, payment.id, customer_id=None) == payment
    for payment_id, customer_id in ((payment.id, "customer-2"), (new_id(), None)):
        with pytest.raises(NotFound):
            usecases.get_payment(engine, payment_id, customer_id=customer_id)
    listed = usecases.list_payments(engine, customer_id="customer-2", order_id=None, before=None, limit=10)
    assert listed == []
