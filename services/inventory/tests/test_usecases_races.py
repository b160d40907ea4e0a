"""Concurrent orders of the same stock. Nothing is retried after a deadlock: there must be none."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from common.errors import Conflict, Contention
from services.inventory.tests import warehouse
from services.inventory.tests.warehouse import (
    add,
    adjust,
    cancel,
    confirm,
    new_order,
    place,
    status_of,
    stock,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


def test_two_concurrent_orders_sell_the_last_item_once(engine: Engine) -> None:
    for number in range(10):
        sku = f"LAST-{number}"
        add(engine, sku, 1)
        orders = [new_order(), new_order()]
        together(partial(place, engine, order, (sku, 1)) for order in orders)
        assert sorted(str(status_of(engine, order)) for order in orders) == ["held", "rejected"]
        assert stock(engine, sku) == (1, 1, 0)
    warehouse.check_books(engine)


def test_twenty_threads_reserve_one_hot_sku_without_overselling(engine: Engine) -> None:
    add(engine, "HOT", 60)
    orders = [[new_order() for _ in range(5)] for _ in range(20)]

    def order_all(mine: list[str]) -> None:
        for order in mine:
            place(engine, order, ("HOT", 1))
            if status_of(engine, order) == "held":
                (confirm if random.random() < 0.5 else cancel)(engine, order)

    together(partial(order_all, mine) for mine in orders)
    on_hand, reserved, sold = stock(engine, "HOT")
    assert (on_hand + sold, reserved) == (60, 0)
    statuses = [status_of(engine, order) for mine in orders for order in mine]
    assert statuses.count("sold") == sold
    assert None not in statuses
    assert "held" not in statuses
    warehouse.check_books(engine)


def test_a_hot_sku_is_sold_out_but_not_oversold(engine: Engine) -> None:
    add(engine, "HOT", 30)
    orders = [[new_order() for _ in range(3)] for _ in range(20)]

    def order_all(mine: list[str]) -> None:
        for order in mine:
            place(engine, order, ("HOT", 1))

    together(partial(order_all, mine) for mine in orders)
    statuses = [status_of(engine, order) for mine in orders for order in mine]
    assert (statuses.count("held"), statuses.count("rejected")) == (30, 30)
    assert stock(engine, "HOT") == (30, 30, 0)


def test_orders_with_items_in_opposite_order_do_not_deadlock(engine: Engine) -> None:
    skus = ["A", "B", "C", "D", "E"]
    for sku in skus:
        add(engine, sku, 1000)

    def run(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(8):
            order = new_order()
            lines = [(sku, chance.randint(1, 3)) for sku in chance.sample(skus, len(skus))]
            place(engine, order, *lines)
            chance.choice((confirm, cancel))(engine, order)

    together(partial(run, seed) for seed in range(10))
    warehouse.check_books(engine)


def test_concurrent_placement_and_cancellation_conserve_stock(engine: Engine) -> None:
    add(engine, "A", 100)
    orders = [new_order() for _ in range(20)]
    for order in orders:
        together(
            [
                partial(place, engine, order, ("A", 2)),
                partial(place, engine, order, ("A", 2)),
                partial(_again_after_contention, partial(cancel, engine, order)),
                partial(_again_after_contention, partial(cancel, engine, order)),
            ]
        )
        assert status_of(engine, order) in {"released", "cancelled"}
    assert stock(engine, "A") == (100, 0, 0)
    warehouse.check_books(engine)


def test_only_one_of_concurrent_confirmation_and_cancellation_applies(engine: Engine) -> None:
    add(engine, "A", 100)
    for _ in range(10):
        order = new_order()
        place(engine, order, ("A", 2))
        refused = together(
            partial(_refused, partial(decide, engine, order)) for decide in (confirm, confirm, cancel, cancel)
        )
        assert refused in ([False, False, True, True], [True, True, False, False])
        assert status_of(engine, order) == ("released" if refused[0] else "sold")
    warehouse.check_books(engine)


def test_reserved_stock_cannot_be_withdrawn_concurrently(engine: Engine) -> None:
    for number in range(10):
        sku = f"A-{number}"
        add(engine, sku, 5)
        order = new_order()
        _, refused = together(
            [partial(place, engine, order, (sku, 5)), partial(_refused, partial(adjust, engine, sku, -1))]
        )
        assert stock(engine, sku) == ((5, 5, 0) if refused else (4, 0, 0))
        assert status_of(engine, order) == ("held" if refused else "rejected")
    warehouse.check_books(engine)


def _again_after_contention(call: Callable[[], None]) -> None:
    try:
        call()
    except Contention:
        call()


def _refused(call: Callable[[], None]) -> bool:
    try:
        call()
    except Conflict:
        return True
    return False
