"""Several orders' events in one transaction, with the locks of `reservations.py`, on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from common.errors import Contention, Rejected
from common.messaging.batch_handling import InboxBatches
from common.messaging.inbox import Delivery
from common.tests.query_plans import sent_statements
from services.inventory.tests import warehouse
from services.inventory.tests.warehouse import add, new_order, status_of, stock
from workers.inventory.consumers import HANDLERS, orders_together
from workers.inventory.tests.event_samples import CANCELLED, CONFIRMED, PLACED, event

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.events import Event

pytestmark = pytest.mark.integration


def handle(engine: Engine, events: list[Event]) -> list[bool]:
    return InboxBatches(engine, HANDLERS, orders_together).handle([Delivery("inventory", each) for each in events])


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


def test_a_batch_sends_as_many_statements_as_one_event(engine: Engine) -> None:
    add(engine, "A", 100)
    counts = []
    for size in (1, 20):
        orders = [new_order() for _ in range(size)]
        for kind in (PLACED, CONFIRMED):
            with sent_statements(engine) as sent:
                handle(
                    engine, [event(kind, order, {"A": 1}) if kind == PLACED else event(kind, order) for order in orders]
                )
            counts.append(len(sent))
    assert counts == [3] * 4, "the inbox, the locks, and what is written"
    assert stock(engine, "A") == (79, 0, 21)


def test_an_order_placed_and_cancelled_in_one_batch_is_released(engine: Engine) -> None:
    add(engine, "A", 1)
    order, next_one = new_order(), new_order()
    events = [event(PLACED, order, {"A": 1}), event(CANCELLED, order)]
    assert handle(engine, events) == [True, True]
    assert (status_of(engine, order), stock(engine, "A")) == ("released", (1, 0, 0))
    assert handle(engine, [event(PLACED, next_one, {"A": 1})]) == [True]
    warehouse.check_books(engine)


def test_an_order_cancelled_before_it_is_placed_splits_the_batch(engine: Engine) -> None:
    add(engine, "A", 1)
    order = new_order()
    events = [event(CANCELLED, order), event(PLACED, order, {"A": 1})]
    with pytest.raises(Contention):
        handle(engine, events)
    assert [handle(engine, [each]) for each in events] == [[True], [True]]
    assert (status_of(engine, order), stock(engine, "A")) == ("cancelled", (1, 0, 0))


def test_a_malformed_order_rolls_back_its_batch(engine: Engine) -> None:
    add(engine, "A", 3)
    good, bad = new_order(), new_order()
    with pytest.raises(Rejected):
        handle(engine, [event(PLACED, good, {"A": 1}), event(PLACED, bad, changes={"items": []})])
    assert status_of(engine, good) is None
    assert stock(engine, "A") == (3, 0, 0)


def test_batches_with_shared_products_in_opposite_order_do_not_deadlock(engine: Engine) -> None:
    for sku in "AB":
        add(engine, sku, 1_000)
    barrier = Barrier(2)

    def work(first: str, last: str) -> list[bool]:
        orders = [new_order() for _ in range(20)]
        events = [event(PLACED, order, {first if number < 10 else last: 1}) for number, order in enumerate(orders)]
        barrier.wait(60)
        return handle(engine, events) + handle(engine, [event(CONFIRMED, order) for order in reversed(orders)])

    with ThreadPoolExecutor(2) as executor:
        assert list(executor.map(work, "AB", "BA")) == [[True] * 40] * 2
    assert stock(engine, "A") == stock(engine, "B") == (980, 0, 20)
    warehouse.check_books(engine)
