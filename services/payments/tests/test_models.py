"""The rows behind the decisions: facts come in any order and stay; an intent is attached only while it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import IntegrityError

from common.money import Money
from common.storage.postgresql import autocommit, transaction
from services.payments import domain, models
from services.payments.domain import Intent, IntentState, Status, Terms
from services.payments.tests.builders import new_order, together

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from services.payments.domain import Payment

pytestmark = pytest.mark.integration
TERMS = Terms("customer-1", Money(1999, "usd"), "pm_card_visa")


def wanting(engine: Engine) -> Payment:
    """A payment that wants an intent."""
    order = new_order()
    with autocommit(engine) as connection:
        models.record_order(connection, order, TERMS)
        return models.record_reserved(connection, order)


def test_facts_add_up_in_one_row(engine: Engine) -> None:
    order = new_order()
    with autocommit(engine) as connection:
        first = models.record_cancelled(connection, order)
        second = models.record_reserved(connection, order)
        third = models.record_order(connection, order, TERMS)
    assert (first.terms, first.stock_reserved, first.cancel_requested) == (None, False, True)
    assert (second.terms, second.stock_reserved, second.cancel_requested) == (None, True, True)
    assert (third.terms, third.stock_reserved, third.cancel_requested) == (TERMS, True, True)
    assert first.id == second.id == third.id


def test_the_first_facts_of_an_order_are_kept(engine: Engine) -> None:
    order = new_order()
    with autocommit(engine) as connection:
        models.record_order(connection, order, TERMS)
        again = models.record_order(connection, order, Terms("customer-2", Money(1, "eur"), "pm_card_amex"))
    assert again.terms == TERMS


def test_facts_that_come_at_once_make_one_row(engine: Engine) -> None:
    order = new_order()

    def receive(fact: int) -> Payment:
        with autocommit(engine) as connection:
            if fact % 2:
                return models.record_reserved(connection, order)
            return models.record_order(connection, order, TERMS)

    incoming = together(lambda fact=fact: receive(fact) for fact in range(8))  # type: ignore[misc]
    assert len({payment.id for payment in incoming}) == 1
    # Whoever comes second sees both: the charge is somebody's business.
    assert any(domain.next_step(payment) is domain.Step.CHARGE for payment in incoming)


def test_the_first_intent_is_attached(engine: Engine) -> None:
    payment = wanting(engine)
    with autocommit(engine) as connection:
        assert models.attach(connection, payment, "pi_1").provider_id == "pi_1"
        assert models.attach(connection, payment, "pi_2").provider_id == "pi_1"


def test_no_intent_is_attached_once_the_order_is_cancelled_or_the_payment_decided(engine: Engine) -> None:
    cancelled, declined = wanting(engine), wanting(engine)
    with transaction(engine) as connection:
        models.record_cancelled(connection, cancelled.order_id)
        models.change(connection, domain.after_intent(declined, Intent(None, IntentState.REFUSED, "no")))
    with autocommit(engine) as connection:
        assert models.attach(connection, cancelled, "pi_1").provider_id is None
        assert models.attach(connection, declined, "pi_1").provider_id is None


def test_the_table_refuses_to_give_back_more_than_it_took(engine: Engine) -> None:
    payment = wanting(engine)
    captured = domain.after_intent(payment, Intent("pi_1", IntentState.SUCCEEDED))
    with transaction(engine) as connection:
        models.change(connection, captured)
    too_much = domain.after_refund(captured, 2000)
    assert too_much.status is Status.REFUNDED
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        models.change(connection, too_much)
