"""Facts are stored in any order, alone or together, and kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.money import Money
from common.storage.postgresql import autocommit
from services.payments import domain, facts
from services.payments.domain import Terms
from services.payments.tests.builders import new_order, together

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from services.payments.domain import Payment
    from services.payments.facts import Fact

pytestmark = pytest.mark.integration
TERMS = Terms("customer-1", Money(1999, "usd"), "pm_card_visa")


def record(connection: Connection, fact: Fact) -> Payment:
    return facts.record(connection, [fact])[fact.order_id]


def test_facts_accumulate_in_one_row(engine: Engine) -> None:
    order = new_order()
    with autocommit(engine) as connection:
        first = record(connection, facts.order_cancelled(order))
        second = record(connection, facts.stock_reserved(order))
        third = record(connection, facts.order_placed(order, TERMS))
    assert (first.terms, first.stock_reserved, first.cancel_requested) == (None, False, True)
    assert (second.terms, second.stock_reserved, second.cancel_requested) == (None, True, True)
    assert (third.terms, third.stock_reserved, third.cancel_requested) == (TERMS, True, True)
    assert first.id == second.id == third.id


def test_the_first_terms_of_an_order_are_kept(engine: Engine) -> None:
    order = new_order()
    with autocommit(engine) as connection:
        record(connection, facts.order_placed(order, TERMS))
        again = record(connection, facts.order_placed(order, Terms("customer-2", Money(1, "eur"), "pm_card_amex")))
    assert again.terms == TERMS


def test_concurrent_facts_create_one_row(engine: Engine) -> None:
    order = new_order()

    def receive(fact: int) -> Payment:
        with autocommit(engine) as connection:
            if fact % 2:
                return record(connection, facts.stock_reserved(order))
            return record(connection, facts.order_placed(order, TERMS))

    incoming = together(partial(receive, fact) for fact in range(8))
    assert len({payment.id for payment in incoming}) == 1
    # The second transaction sees both facts, so one of the two charges.
    assert any(domain.next_step(payment) is domain.Step.CHARGE for payment in incoming)


def test_facts_of_several_orders_are_recorded_together(engine: Engine) -> None:
    first, second = new_order(), new_order()
    both = facts.order_placed(first, TERMS) | facts.stock_reserved(first)
    with autocommit(engine) as connection:
        payments = facts.record(connection, [both, facts.order_cancelled(second)])
    assert (payments[first].terms, payments[first].stock_reserved) == (TERMS, True)
    assert (payments[second].terms, payments[second].cancel_requested) == (None, True)


def test_a_confirmation_does_not_restart_the_backoff(engine: Engine) -> None:
    order = new_order()
    query = text("SELECT looks, order_confirmed FROM payments WHERE order_id = :id")
    with autocommit(engine) as connection:
        record(connection, facts.order_placed(order, TERMS))
        connection.execute(text("UPDATE payments SET looks = 3 WHERE order_id = :id"), {"id": order})
        record(connection, facts.order_confirmed(order))
        assert tuple(connection.execute(query, {"id": order}).one()) == (3, True)
        record(connection, facts.stock_reserved(order))
        assert tuple(connection.execute(query, {"id": order}).one()) == (0, True)
