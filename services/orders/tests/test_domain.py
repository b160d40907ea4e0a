"""The allowed transitions of an order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.money import Money
from common.schemas import CURRENCIES
from services.orders import domain
from services.orders.domain import MAX_TOTAL, MIN_TOTALS, Status, WantedItem

PRICES = {"TEA": Money(450, "usd"), "POT": Money(2500, "usd"), "EURO": Money(100, "eur")}
FACTS = (
    domain.when_stock_is_reserved,
    domain.when_payment_is_captured,
    domain.when_it_fails,
)


def test_an_order_is_priced_line_by_line() -> None:
    lines, total = domain.price([WantedItem("TEA", 2), WantedItem("POT", 1)], PRICES)
    assert total == Money(3400, "usd")
    assert [line.unit_price.amount for line in lines] == [450, 2500]


def test_an_unlisted_sku_cannot_be_ordered() -> None:
    with pytest.raises(domain.UnknownSkuError) as caught:
        domain.price([WantedItem("TEA", 1), WantedItem("MOON", 1)], PRICES)
    assert caught.value.errors == {"items": ["unknown sku MOON"]}


def test_one_order_has_one_currency() -> None:
    with pytest.raises(domain.MixedCurrenciesError):
        domain.price([WantedItem("TEA", 1), WantedItem("EURO", 1)], PRICES)


def test_a_total_above_the_providers_maximum_is_rejected() -> None:
    with pytest.raises(domain.TotalTooLargeError):
        domain.price([WantedItem("POT", MAX_TOTAL // 2500 + 1)], PRICES)


def test_a_changed_price_is_rejected() -> None:
    items = [WantedItem("TEA", 1, Money(450, "usd")), WantedItem("POT", 1, Money(1000, "usd"))]
    with pytest.raises(domain.PriceChangedError) as caught:
        domain.price(items, PRICES)
    assert caught.value.errors == {"items.1.unit_price": ["You saw 1000 usd; the price is 2500 usd."]}
    with pytest.raises(domain.PriceChangedError):
        domain.price([WantedItem("TEA", 1, Money(450, "eur"))], PRICES)


@pytest.mark.parametrize(("currency", "smallest"), MIN_TOTALS.items())
def test_a_total_below_the_providers_minimum_is_rejected(currency: str, smallest: int) -> None:
    assert domain.price([WantedItem("X", 1)], {"X": Money(smallest, currency)})[1].amount == smallest
    with pytest.raises(domain.TotalTooSmallError):
        domain.price([WantedItem("X", 1)], {"X": Money(smallest - 1, currency)})


def test_every_currency_has_a_minimum_total() -> None:
    assert set(MIN_TOTALS) == set(CURRENCIES)


@given(st.lists(st.sampled_from(FACTS)))
def test_a_final_status_never_changes(facts: list[object]) -> None:
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
