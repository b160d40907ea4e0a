"""An intent is attached only while it is needed; the table rejects refunds of more than was captured."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from common.money import Money
from common.storage.postgresql import autocommit, transaction
from services.payments import domain, facts, models
from services.payments.domain import Intent, IntentState, Status, Terms
from services.payments.tests.builders import new_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine

    from services.payments.domain import Payment
    from services.payments.facts import Fact

pytestmark = pytest.mark.integration
TERMS = Terms("customer-1", Money(1999, "usd"), "pm_card_visa")


def record(connection: Connection, fact: Fact) -> Payment:
    return facts.record(connection, [fact])[fact.order_id]


def wanting(engine: Engine, order: str | None = None) -> Payment:
    """A payment that needs an intent."""
    order = order or new_order()
    with autocommit(engine) as connection:
        record(connection, facts.order_placed(order, TERMS))
        return record(connection, facts.stock_reserved(order))


def test_the_first_intent_is_attached(engine: Engine) -> None:
    payment = wanting(engine)
    with autocommit(engine) as connection:
        assert models.attach(connection, payment, "pi_1").provider_id == "pi_1"
        assert models.attach(connection, payment, "pi_2").provider_id == "pi_1"


def test_no_intent_is_attached_once_the_order_is_cancelled_or_the_payment_decided(engine: Engine) -> None:
    cancelled, declined = wanting(engine), wanting(engine)
    with transaction(engine) as connection:
        record(connection, facts.order_cancelled(cancelled.order_id))
        models.change(connection, domain.after_intent(declined, Intent(None, IntentState.REFUSED, "no")))
    with autocommit(engine) as connection:
        assert models.attach(connection, cancelled, "pi_1").provider_id is None
        assert models.attach(connection, declined, "pi_1").provider_id is None


def locks(engine: Engine, payment: Payment) -> bool:
    """Whether a transaction has locked this payment."""
    with transaction(engine) as connection:
        free = connection.execute(
            text("SELECT FROM payments WHERE id = :id FOR UPDATE SKIP LOCKED"), {"id": payment.id}
        )
        return free.first() is None


def lock_by_facts(connection: Connection, payments: Sequence[Payment]) -> None:
    facts.record(connection, [facts.stock_reserved(payment.order_id) for payment in payments])


def lock_by_intents(connection: Connection, payments: Sequence[Payment]) -> None:
    models.attach_all(connection, {payment.id: f"pi_{payment.id}" for payment in payments})


def lock_together(connection: Connection, payments: Sequence[Payment]) -> None:
    with models.together(connection, [payment.id for payment in payments]):
        pass


@pytest.mark.parametrize("lock", [lock_by_facts, lock_by_intents, lock_together])
def test_several_payments_are_locked_in_the_order_of_their_orders(
    engine: Engine, lock: Callable[[Connection, Sequence[Payment]], None]
) -> None:
    """Otherwise two batches with the same payments would deadlock."""
    first_order, last_order = sorted([new_order(), new_order()])
    last, first = (wanting(engine, order) for order in (last_order, first_order))
    assert last.id < first.id

    def lock_both() -> None:
        with transaction(engine) as connection:
            lock(connection, [last, first])

    with ThreadPoolExecutor() as threads:
        with transaction(engine) as connection:
            models.lock(connection, first.id)
            both = threads.submit(lock_both)
            while not is_waiting(engine):
                time.sleep(0.02)
            assert not locks(engine, last)
        both.result()


def is_waiting(engine: Engine) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with autocommit(engine) as connection:
        return connection.execute(text(query)).first() is not None


def test_the_table_rejects_refunds_above_the_captured_amount(engine: Engine) -> None:
    payment = wanting(engine)
    captured = domain.after_intent(payment, Intent("pi_1", IntentState.SUCCEEDED))
    with transaction(engine) as connection:
        models.change(connection, captured)
    too_much = domain.after_refund(captured, 2000)
    assert too_much.status is Status.REFUNDED
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        models.change(connection, too_much)
