"""An order's reservation on a real database, with events once, twice and out of order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.messaging.inbox import AlreadyHandled
from services.inventory import usecases
from services.inventory.domain import Line, ReservationEndedError, UnknownReservationError
from services.inventory.tests import warehouse
from services.inventory.tests.warehouse import (
    add,
    cancel,
    confirm,
    new_order,
    place,
    published_data,
    status_of,
    stock,
    types,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


def test_an_order_is_reserved_then_sold(engine: Engine) -> None:
    add(engine, "A", 10)
    add(engine, "B", 5)
    order = new_order()
    items = [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 5}]

    place(engine, order, ("B", 5), ("A", 2))
    assert (stock(engine, "A"), stock(engine, "B")) == ((10, 2, 0), (5, 5, 0))

    confirm(engine, order)
    assert (stock(engine, "A"), stock(engine, "B")) == ((8, 0, 2), (0, 0, 5))
    assert published_data(engine, order) == [
        ("stock.reserved.v1", 1, {"order_id": order, "items": items}),
        ("stock.sold.v1", 2, {"order_id": order, "items": items}),
    ]
    warehouse.check_books(engine)


def test_a_cancelled_order_releases_its_stock(engine: Engine) -> None:
    add(engine, "A", 3)
    order = new_order()
    place(engine, order, ("A", 3))
    cancel(engine, order)
    assert stock(engine, "A") == (3, 0, 0)
    items = [{"sku": "A", "quantity": 3}]
    assert published_data(engine, order)[1:] == [("stock.released.v1", 2, {"order_id": order, "items": items})]
    warehouse.check_books(engine)


def test_events_propagate_their_cause(engine: Engine) -> None:
    add(engine, "A", 1)
    order = new_order()
    incoming = warehouse.delivery("order.placed.v1", order)
    usecases.order_was_placed(engine, incoming, order, [Line("A", 1)])
    (event,) = warehouse.published(engine, order)
    assert (event.orderid, event.correlationid, event.causationid) == (order, "test", incoming.event.id)


def test_all_items_are_reserved_or_none(engine: Engine) -> None:
    add(engine, "A", 10)
    add(engine, "B", 1)
    order = new_order()
    place(engine, order, ("A", 1), ("B", 2))
    assert (stock(engine, "A"), stock(engine, "B")) == ((10, 0, 0), (1, 0, 0))
    assert published_data(engine, order) == [
        ("stock.rejected.v1", 1, {"order_id": order, "reason": "out_of_stock", "sku": "B"})
    ]
    assert status_of(engine, order) == "rejected"


@pytest.mark.parametrize("others", [[], [("A", 1)]])
def test_an_unknown_sku_is_rejected(engine: Engine, others: list[tuple[str, int]]) -> None:
    add(engine, "A", 10)
    order = new_order()
    place(engine, order, *others, ("NO-SUCH", 1))
    assert published_data(engine, order) == [
        ("stock.rejected.v1", 1, {"order_id": order, "reason": "unknown_sku", "sku": "NO-SUCH"})
    ]
    assert stock(engine, "A") == (10, 0, 0)


def test_lines_of_one_sku_are_added_up(engine: Engine) -> None:
    add(engine, "A", 3)
    too_many, enough = new_order(), new_order()
    place(engine, too_many, ("A", 2), ("A", 2))
    place(engine, enough, ("A", 2), ("A", 1))
    assert (status_of(engine, too_many), status_of(engine, enough)) == ("rejected", "held")
    assert stock(engine, "A") == (3, 3, 0)


def test_an_order_cancelled_before_it_is_placed_never_reserves_stock(engine: Engine) -> None:
    add(engine, "A", 3)
    order = new_order()
    cancel(engine, order)
    cancel(engine, order)
    place(engine, order, ("A", 3))
    assert status_of(engine, order) == "cancelled"
    assert stock(engine, "A") == (3, 0, 0)
    assert published_data(engine, order) == []


def test_a_rejected_order_that_is_then_cancelled_stays_rejected(engine: Engine) -> None:
    order = new_order()
    place(engine, order, ("NO-SUCH", 1))
    cancel(engine, order)
    assert types(engine, order) == ["stock.rejected.v1"]
    assert status_of(engine, order) == "rejected"


def test_a_sale_without_a_reservation_is_rejected(engine: Engine) -> None:
    order = new_order()
    with pytest.raises(UnknownReservationError):
        confirm(engine, order)
    assert status_of(engine, order) is None


def test_a_rejected_event_is_rolled_back_and_can_be_replayed(engine: Engine) -> None:
    add(engine, "A", 1)
    order = new_order()
    incoming = warehouse.delivery("order.confirmed.v1", order)
    with pytest.raises(UnknownReservationError):
        usecases.order_was_confirmed(engine, incoming, order)
    place(engine, order, ("A", 1))
    usecases.order_was_confirmed(engine, incoming, order)
    assert stock(engine, "A") == (0, 0, 1)


def test_contradicting_facts_are_rejected(engine: Engine) -> None:
    add(engine, "A", 2)
    sold, released = new_order(), new_order()
    place(engine, sold, ("A", 1))
    confirm(engine, sold)
    place(engine, released, ("A", 1))
    cancel(engine, released)
    with pytest.raises(ReservationEndedError):
        cancel(engine, sold)
    with pytest.raises(ReservationEndedError):
        confirm(engine, released)
    assert stock(engine, "A") == (1, 0, 1)
    warehouse.check_books(engine)


def test_the_same_event_takes_effect_once(engine: Engine) -> None:
    add(engine, "A", 5)
    order, early = new_order(), new_order()
    placed = warehouse.delivery("order.placed.v1", order)
    confirmed = warehouse.delivery("order.confirmed.v1", order)
    cancelled = warehouse.delivery("order.cancelled.v1", early)
    usecases.order_was_placed(engine, placed, order, [Line("A", 1)])
    usecases.order_was_confirmed(engine, confirmed, order)
    usecases.order_was_cancelled(engine, cancelled, early)
    before = warehouse.published(engine)
    with pytest.raises(AlreadyHandled):
        usecases.order_was_placed(engine, placed, order, [Line("A", 1)])
    with pytest.raises(AlreadyHandled):
        usecases.order_was_confirmed(engine, confirmed, order)
    with pytest.raises(AlreadyHandled):
        usecases.order_was_cancelled(engine, cancelled, early)
    assert stock(engine, "A") == (4, 0, 1)
    assert warehouse.published(engine) == before


def test_a_replay_after_the_inbox_was_pruned_changes_nothing(engine: Engine) -> None:
    add(engine, "A", 9)
    held, sold, released, rejected = (new_order() for _ in range(4))
    for order, quantity in ((held, 1), (sold, 2), (released, 3), (rejected, 99)):
        place(engine, order, ("A", quantity))
    confirm(engine, sold)
    cancel(engine, released)
    before = warehouse.published(engine)
    for order in (held, sold, released, rejected):
        place(engine, order, ("A", 1))
    confirm(engine, sold)
    cancel(engine, released)
    assert warehouse.published(engine) == before
    assert stock(engine, "A") == (7, 1, 2)
    warehouse.check_books(engine)
