"""Several orders' events in one transaction, with the locks of `stock_locks.py`, on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from common.errors import Rejected
from common.messaging.batch_handling import InboxBatches
from common.messaging.inbox import Delivery
from services.inventory.tests import warehouse
from services.inventory.tests.warehouse import add, new_order, status_of, stock
from workers.inventory.consumers import HANDLERS, lock_stock
from workers.inventory.tests.event_samples import CANCELLED, CONFIRMED, PLACED, event

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.events import Event

pytestmark = pytest.mark.integration


def handle(engine: Engine, events: list[Event]) -> list[bool]:
    return InboxBatches(engine, HANDLERS, lock_stock).handle([Delivery("inventory", each) for each in events])


def test_a_batch_reserves_sells_and_releases(engine: Engine) -> None:
    add(engine, "A", 10)
    add(engine, "B", 10)
    orders = [new_order() for _ in range(3)]
    assert handle(engine, [event(PLACED, order, {"A": 2, "B": 1}) for order in orders]) == [True] * 3
    assert stock(engine, "A") == (10, 6, 0)
    ends = [event(CONFIRMED, orders[0]), event(CANCELLED, orders[1]), event(CONFIRMED, orders[2])]
    assert handle(engine, [*ends, ends[0]]) == [True, True, True, False]
    assert [status_of(engine, order) for order in orders] == ["sold", "released", "sold"]
    assert stock(engine, "A") == (6, 0, 4)
    warehouse.check_books(engine)


def test_a_batch_does_not_oversell(engine: Engine) -> None:
    add(engine, "A", 3)
    orders = [new_order() for _ in range(5)]
    handle(engine, [event(PLACED, order, {"A": 1}) for order in orders])
    assert sorted(status_of(engine, order) or "" for order in orders) == ["held"] * 3 + ["rejected"] * 2
    warehouse.check_books(engine)


def test_an_order_that_cannot_be_read_leaves_nothing_of_its_batch(engine: Engine) -> None:
    add(engine, "A", 3)
    good, bad = new_order(), new_order()
    with pytest.raises(Rejected):
        handle(engine, [event(PLACED, good, {"A": 1}), event(PLACED, bad, changes={"items": []})])
    assert status_of(engine, good) is None
    assert stock(engine, "A") == (3, 0, 0)


def test_batches_that_share_products_in_opposite_order_do_not_wait_in_a_circle(engine: Engine) -> None:
    for sku in "AB":
        add(engine, sku, 1_000)
    barrier = Barrier(2)

    def work(first: str, last: str) -> list[bool]:
        orders = [new_order() for _ in range(20)]
        events = [event(PLACED, order, {first if number < 10 else last: 1}) for number, order in enumerate(orders)]
        barrier.wait(30)
        return handle(engine, events) + handle(engine, [event(CONFIRMED, order) for order in reversed(orders)])

    with ThreadPoolExecutor(2) as executor:
        assert list(executor.map(work, "AB", "BA")) == [[True] * 40] * 2
    assert stock(engine, "A") == stock(engine, "B") == (980, 0, 20)
    warehouse.check_books(engine)
