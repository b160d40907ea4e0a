"""Which way an order may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders import domain
from services.orders.domain import MAX_TOTAL, Money, Status

PRICES = {"TEA": Money(450, "usd"), "POT": Money(2500, "usd"), "EURO": Money(100, "eur")}
FACTS = (
    domain.when_stock_is_reserved,
    domain.when_payment_is_captured,
    domain.when_it_fails,
)


def test_an_order_is_priced_line_by_line() -> None:
    lines, total = domain.price([("TEA", 2), ("POT", 1)], PRICES)
    assert total == Money(3400, "usd")
    assert [line.unit_price.amount for line in lines] == [450, 2500]


def test_what_is_not_on_the_price_list_cannot_be_ordered() -> None:
    with pytest.raises(domain.UnknownSkuError) as caught:
        domain.price([("TEA", 1), ("MOON", 1)], PRICES)
    assert caught.value.errors == {"items": ["unknown sku MOON"]}


def test_one_order_has_one_currency() -> None:
    with pytest.raises(domain.MixedCurrenciesError):
        domain.price([("TEA", 1), ("EURO", 1)], PRICES)


def test_a_total_beyond_what_the_provider_takes_is_refused() -> None:
    with pytest.raises(domain.TotalTooLargeError):
        domain.price([("POT", MAX_TOTAL // 2500 + 1)], PRICES)


@given(st.lists(st.sampled_from(FACTS)))
def test_a_final_status_is_final_whatever_is_heard_later(facts: list[object]) -> None:
    for final in (Status.CONFIRMED, Status.CANCELLED):
        assert all(fact(final) is None for fact in facts)  # type: ignore[operator]  # sampled functions


@given(st.lists(st.sampled_from(FACTS), max_size=6))
def test_every_history_ends_in_at_most_one_final_status(facts: list[object]) -> None:
    status, finals = Status.PENDING, []
    for fact in facts:
        status = fact(status) or status  # type: ignore[operator]  # sampled functions
        if status not in domain.OPEN:
            finals.append(status)
    assert len(set(finals)) <= 1


def test_a_confirmed_order_cannot_be_cancelled() -> None:
    with pytest.raises(domain.NotCancellableError):
        domain.when_customer_cancels(Status.CONFIRMED)
    assert domain.when_customer_cancels(Status.RESERVED) is Status.CANCELLED
    assert domain.when_customer_cancels(Status.CANCELLED) is None
