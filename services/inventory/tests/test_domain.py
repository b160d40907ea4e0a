from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Rejected
from common.money import Money
from services.inventory import domain
from services.inventory.domain import (
    MAX_ON_HAND,
    MOVES,
    BelowReservedError,
    Line,
    Product,
    Reason,
    Refusal,
    Reservation,
    ReservationEndedError,
    Status,
    Stock,
    StockTooLargeError,
    UnknownReservationError,
)

Decide = Callable[[Status | None], Status | None]
Follows = dict[Status | None, Status | type[Rejected] | None]
PRODUCT = Product(sku="A", name="An A", price=Money(100, "usd"), stock=Stock(on_hand=10, reserved=4, sold=7), version=5)


def test_an_adjustment_changes_only_on_hand() -> None:
    adjusted = domain.adjust(PRODUCT, -6)
    assert adjusted.stock == Stock(on_hand=4, reserved=4, sold=7)
    assert adjusted.version == 6


def test_an_adjustment_below_the_reserved_quantity_is_rejected() -> None:
    with pytest.raises(BelowReservedError) as refused:
        domain.adjust(PRODUCT, -7)
    assert (refused.value.status, refused.value.code) == (409, "below_reserved")


def test_stock_is_bounded() -> None:
    assert domain.adjust(PRODUCT, MAX_ON_HAND - 10).stock.on_hand == MAX_ON_HAND
    with pytest.raises(StockTooLargeError):
        domain.adjust(PRODUCT, MAX_ON_HAND - 9)


@pytest.mark.parametrize(
    ("name", "price", "expected"),
    [
        ("A new A", None, replace(PRODUCT, name="A new A", version=6)),
        (None, Money(1, "eur"), replace(PRODUCT, price=Money(1, "eur"), version=6)),
        (PRODUCT.name, PRODUCT.price, None),
        (None, None, None),
    ],
)
def test_a_change_updates_only_given_fields(name: str | None, price: Money | None, expected: Product | None) -> None:
    assert domain.change(PRODUCT, name=name, price=price) == expected


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        ([Line("A", 3), Line("B", 1)], None),
        ([Line("A", 4)], Refusal(Reason.OUT_OF_STOCK, "A")),
        ([Line("B", 2), Line("A", 4)], Refusal(Reason.OUT_OF_STOCK, "B")),
        ([Line("A", 4), Line("C", 1)], Refusal(Reason.UNKNOWN_SKU, "C")),
    ],
)
def test_all_lines_are_reserved_or_none(lines: list[Line], refusal: Refusal | None) -> None:
    assert domain.refuse(lines, {"A": 3, "B": 1}) == refusal


def test_lines_of_one_sku_are_merged() -> None:
    assert domain.merge([Line("B", 1), Line("A", 2), Line("B", 3)]) == (Line("A", 2), Line("B", 4))


CONFIRMED: Follows = {
    None: UnknownReservationError,
    Status.HELD: Status.SOLD,
    Status.SOLD: None,
    Status.RELEASED: ReservationEndedError,
    Status.REJECTED: ReservationEndedError,
    Status.CANCELLED: ReservationEndedError,
}
CANCELLED: Follows = {
    None: Status.CANCELLED,
    Status.HELD: Status.RELEASED,
    Status.SOLD: ReservationEndedError,
    Status.RELEASED: None,
    Status.REJECTED: None,
    Status.CANCELLED: None,
}


@pytest.mark.parametrize("status", [None, *Status])
@pytest.mark.parametrize(
    ("decide", "expected"),
    [(domain.when_order_is_confirmed, CONFIRMED), (domain.when_order_is_cancelled, CANCELLED)],
)
def test_each_status_allows_only_its_transitions(status: Status | None, decide: Decide, expected: Follows) -> None:
    follows = expected[status]
    if isinstance(follows, type):
        with pytest.raises(follows):
            decide(status)
    else:
        assert decide(status) is follows


SKUS = ("A", "B", "C")
ORDERS = ("1", "2", "3", "4", "5")
_lines = st.lists(st.builds(Line, st.sampled_from((*SKUS, "unknown")), st.integers(1, 6)), min_size=1, max_size=4)
_wishes = st.fixed_dictionaries(dict.fromkeys(ORDERS, _lines))
_facts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["placed", "confirmed", "cancelled"]), st.sampled_from(ORDERS)),
        st.tuples(st.just("adjusted"), st.sampled_from(SKUS), st.integers(-8, 8)),
    ),
    max_size=60,
)


@given(wishes=_wishes, facts=_facts)
def test_stock_is_conserved_for_any_facts_in_any_order(
    wishes: dict[str, list[Line]], facts: list[tuple[str, str] | tuple[str, str, int]]
) -> None:
    books = _Books(wishes)
    for fact in facts:
        with suppress(Rejected):  # nothing may have changed
            books.take(*fact)
        books.check()


class _Books:
    """Applies the domain's decisions in memory."""

    def __init__(self, wishes: dict[str, list[Line]]) -> None:
        self._wishes = wishes
        self._products = {sku: replace(PRODUCT, sku=sku, stock=Stock(on_hand=10)) for sku in SKUS}
        self._received = dict.fromkeys(SKUS, 10)
        self._reservations: dict[str, Reservation] = {}

    def take(self, fact: str, about: str, delta: int = 0) -> None:
        if fact == "adjusted":
            self._products[about] = domain.adjust(self._products[about], delta)
            self._received[about] += delta
        elif fact == "placed":
            self._place(about)
        else:
            known = self._reservations.get(about)
            decide = domain.when_order_is_confirmed if fact == "confirmed" else domain.when_order_is_cancelled
            if status := decide(known.status if known else None):
                self._enter(known or Reservation(order_id=about, status=status, lines=(), version=0), status)

    def check(self) -> None:
        for sku, product in self._products.items():
            stock = product.stock
            assert 0 <= stock.reserved <= stock.on_hand
            assert stock.on_hand + stock.sold == self._received[sku]
            assert stock.reserved == self._quantity(sku, Status.HELD)
            assert stock.sold == self._quantity(sku, Status.SOLD)

    def _place(self, order_id: str) -> None:
        if order_id in self._reservations:
            return
        lines = domain.merge(self._wishes[order_id])
        available = {sku: product.stock.available for sku, product in self._products.items()}
        status = Status.REJECTED if domain.refuse(lines, available) else Status.HELD
        self._enter(Reservation(order_id=order_id, status=status, lines=lines, version=1), status)

    def _enter(self, reservation: Reservation, status: Status) -> None:
        self._reservations[reservation.order_id] = replace(reservation, status=status)
        for line in reservation.lines if status in MOVES else ():
            product = self._products[line.sku]
            moved = domain.move(product.stock, MOVES[status], line.quantity)
            self._products[line.sku] = replace(product, stock=moved)

    def _quantity(self, sku: str, status: Status) -> int:
        reservations = [known for known in self._reservations.values() if known.status is status]
        return sum(line.quantity for known in reservations for line in known.lines if line.sku == sku)
