"""The audit's judgement of stock (P3) and of a product's events (P5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.audit.promises import check_product
from holdfast.audit.views import OrderView, ProductView
from holdfast.tests.audit_views import (
    CANCELLED,
    GOOD,
    ID,
    LISTED,
    REJECTED,
    SKU,
    order,
    shelf,
)


@pytest.mark.parametrize(
    "view",
    [
        shelf(),
        shelf(on_hand=10, available=10, sold=0, sold_by_orders=0),
        shelf(reserved=3, available=5, moving=3),
        shelf(reserved=0, moving=3),
        shelf(on_hand=7, available=7, sold=3, moving=1),
        shelf(on_hand=0, available=0, sold=10, sold_by_orders=10),
    ],
)
def test_conserved_stock_breaks_no_promise(view: ProductView) -> None:
    assert check_product(view) == []


@pytest.mark.parametrize(
    "view",
    [
        shelf(reserved=9, available=-1, moving=9),
        shelf(available=7),
        shelf(on_hand=7, available=7),
        shelf(sold=3),
        shelf(on_hand=7, available=7, sold=3),
        shelf(sold_by_orders=3),
        shelf(sold_by_orders=0, moving=1),
        shelf(reserved=1, available=7),
        shelf(reserved=3, available=5, moving=2),
        shelf(reserved=-1, available=9),
        replace(shelf(), product=None),
    ],
)
def test_p3_unconserved_stock_is_found(view: ProductView) -> None:
    found = check_product(view)
    assert {(finding.promise, finding.subject) for finding in found} == {("P3", SKU)}


def test_p5_a_gap_in_a_products_events_is_found() -> None:
    assert [finding.promise for finding in check_product(shelf(version=3))] == ["P5"]
    without = replace(shelf(), events=LISTED[1:])
    assert [finding.promise for finding in check_product(without)] == ["P5"]


def test_stock_of_orders_in_progress_may_be_in_either_state() -> None:
    recent, later = "2026-11-22T14:00:03.000000Z", "2026-11-22T14:00:04.000000Z"
    assert GOOD.is_moving(recent)  # its sale was published after that time
    assert not GOOD.is_moving(later)
    assert CANCELLED.is_moving(recent)
    assert not CANCELLED.is_moving(later)
    assert not REJECTED.is_moving(recent)  # it never had a reservation
    assert OrderView(ID, order("reserved", version=1), (), (), ()).is_moving(later)
    assert replace(GOOD, order=None).is_moving(later)
