"""Each kind of broken promise, on constructed views; and unusual cases that break none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.audit.views import INVENTORY, ORDERS, PAYMENTS, Charge, OrderView
from holdfast.tests.audit_views import (
    CANCELLED,
    CONFIRMED,
    DECLINED,
    GOOD,
    ID,
    REFUSED,
    REJECTED,
    broken,
    charge,
    events,
    order,
    payment,
)


@pytest.mark.parametrize("view", [GOOD, CANCELLED, REJECTED])
def test_a_consistent_order_breaks_no_promise(view: OrderView) -> None:
    assert broken(view) == []


def test_an_order_cancelled_before_other_contexts_received_it_is_accepted() -> None:
    history = events((ORDERS, "order.placed.v1", 1), (ORDERS, "order.cancelled.v1", 2))
    assert broken(OrderView(ID, order("cancelled", "customer_request"), (), (), history)) == []


def test_two_partial_refunds_by_an_operator_are_accepted() -> None:
    history = events(*CONFIRMED, (PAYMENTS, "payment.refunded.v1", 2), (PAYMENTS, "payment.refunded.v1", 3))
    paid = (payment("partially_refunded", refunded=1500, version=3),)
    assert broken(replace(GOOD, payments=paid, charges=(charge(2500, 1500),), events=history)) == []


def test_a_refund_after_a_late_cancellation_is_accepted() -> None:
    history = events(
        (ORDERS, "order.placed.v1", 1), (INVENTORY, "stock.reserved.v1", 1), (ORDERS, "order.cancelled.v1", 2),
        (INVENTORY, "stock.released.v1", 2), (PAYMENTS, "payment.captured.v1", 1), (PAYMENTS, "payment.refunded.v1", 2),
    )  # fmt: skip
    paid = (payment("refunded", refunded=2500, version=2),)
    view = OrderView(ID, order("cancelled", "customer_request"), paid, (charge(2500, 2500),), history)
    assert broken(view) == []


def test_an_additional_intent_without_success_is_accepted() -> None:
    assert broken(replace(GOOD, charges=(charge(2500), charge(0, name="pi_2")))) == []


@pytest.mark.parametrize("status", ["pending", "reserved"])
def test_p1_an_open_order_is_found(status: str) -> None:
    view = OrderView(ID, order(status, version=1), (), (), events((ORDERS, "order.placed.v1", 1)))
    assert broken(view) == ["P1"]


def test_p1_a_missing_order_is_found() -> None:
    assert "P1" in broken(replace(GOOD, order=None))
    assert "P1" in broken(OrderView(ID, None, (), (charge(2500),), ()))


def test_p1_a_confirmed_order_without_a_sale_is_found() -> None:
    assert broken(replace(GOOD, events=events(*CONFIRMED[:-1]))) == ["P1"]


def test_p1_a_confirmed_order_without_a_payment_is_found() -> None:
    assert "P1" in broken(replace(GOOD, payments=(payment("pending", version=1),)))
    assert "P1" in broken(replace(GOOD, payments=()))


def test_p1_a_cancelled_order_with_held_stock_is_found() -> None:
    assert broken(replace(CANCELLED, events=events(*DECLINED[:-1]))) == ["P1"]


def test_p2_a_double_charge_is_found() -> None:
    assert "P2" in broken(replace(GOOD, charges=(charge(2500), charge(2500, name="pi_2"))))


def test_p2_a_second_payment_is_found() -> None:
    assert broken(replace(GOOD, payments=(payment("captured"), payment("captured")))) == ["P2"]


@pytest.mark.parametrize("number", range(len(CONFIRMED)))
def test_p2_a_duplicate_event_is_found(number: int) -> None:
    again = (*CONFIRMED, (CONFIRMED[number][0], CONFIRMED[number][1], 3))
    assert "P2" in broken(replace(GOOD, events=events(*again)))


def test_p2_an_order_with_both_final_events_is_found() -> None:
    history = (*CONFIRMED, (INVENTORY, "stock.released.v1", 3))
    assert "P2" in broken(replace(GOOD, events=events(*history)))
    history = (*CONFIRMED, (ORDERS, "order.cancelled.v1", 3))
    assert "P2" in broken(replace(GOOD, order=order("confirmed", version=3), events=events(*history)))


@pytest.mark.parametrize("charges", [(), (charge(0),), (charge(2499),), (charge(2500, 1),), (charge(5000, 1),)])
def test_p4_a_confirmed_order_that_is_partly_paid_is_found(charges: tuple[Charge, ...]) -> None:
    assert broken(replace(GOOD, charges=charges)) == ["P4"]


def test_p4_a_recorded_refund_that_was_never_made_is_found() -> None:
    assert broken(replace(GOOD, payments=(payment("partially_refunded", refunded=100),))) == ["P4"]


def test_p4_a_refund_above_the_total_is_found() -> None:
    paid = (payment("refunded", refunded=2600),)
    assert broken(replace(GOOD, payments=paid, charges=(charge(2500, 2600),))) == ["P4"]


def test_p4_a_charge_in_another_currency_is_found() -> None:
    assert broken(replace(GOOD, charges=(charge(2500, currency="eur"),))) == ["P4"]


def test_p4_a_cancelled_order_that_is_charged_is_found() -> None:
    assert broken(replace(CANCELLED, charges=(charge(2500),))) == ["P4"]
    assert broken(replace(CANCELLED, charges=(charge(2500, 2499),))) == ["P4"]


@pytest.mark.parametrize("source", [ORDERS, PAYMENTS, INVENTORY])
def test_p5_a_gap_in_the_events_is_found(source: str) -> None:
    first = next(number for number, history in enumerate(CONFIRMED) if history[0] == source)
    left = [history for number, history in enumerate(CONFIRMED) if number != first]
    assert "P5" in broken(replace(GOOD, events=events(*left)))


def test_p5_missing_last_events_are_found() -> None:
    assert broken(replace(GOOD, order=order("confirmed", version=3))) == ["P5"]
    assert broken(replace(GOOD, payments=(payment("captured", version=2),))) == ["P5"]
    assert broken(replace(REJECTED, events=events(REFUSED[0], REFUSED[2]))) == ["P5"]


def test_p5_events_beyond_the_resources_version_are_found() -> None:
    assert broken(replace(GOOD, order=order("confirmed", version=1))) == ["P5"]
