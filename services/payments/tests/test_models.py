"""An intent is attached only while it is needed; the table rejects refunds of more than was captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from common.money import Money
from common.storage.postgresql import autocommit, transaction
from services.payments import domain, facts, models
from services.payments.domain import Intent, IntentState, Status, Terms
from services.payments.tests.builders import new_order

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.payments.domain import Payment
    from services.payments.facts import Fact

pytestmark = pytest.mark.integration
TERMS = Terms("customer-1", Money(1999, "usd"), "pm_card_visa")


def record(connection: Connection, fact: Fact) -> Payment:
    return facts.record(connection, [fact])[fact.order_id]


def wanting(engine: Engine) -> Payment:
    """A payment that needs an intent."""
    order = new_order()
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


def test_the_table_rejects_refunds_above_the_captured_amount(engine: Engine) -> None:
    payment = wanting(engine)
    captured = domain.after_intent(payment, Intent("pi_1", IntentState.SUCCEEDED))
    with transaction(engine) as connection:
        models.change(connection, captured)
    too_much = domain.after_refund(captured, 2000)
    assert too_much.status is Status.REFUNDED
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        models.change(connection, too_much)
