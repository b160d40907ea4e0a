"""Overdue reservations are asked about, never released on a guess; replays after pruning change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.messaging.inbox import AlreadyHandled
from common.storage.postgresql import autocommit
from common.storage.pruning import prune_inbox
from services.inventory import usecases
from services.inventory.domain import Line
from services.inventory.tests.warehouse import (
    add,
    cancel,
    check_books,
    confirm,
    delivery,
    new_order,
    place,
    published_data,
    status_of,
    stock,
    together,
    types,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration


def ask(engine: Engine) -> int:
    return usecases.ask_about_overdue(engine, held_seconds=600, limit=10)


def age(engine: Engine, order_id: str, seconds: float) -> None:
    older = "make_interval(secs => :s)"
    aged = text(f"""
        UPDATE reservations SET created_at = created_at - {older}, asked_at = asked_at - {older} WHERE order_id = :id
    """)
    with autocommit(engine) as connection:
        connection.execute(aged, {"s": seconds, "id": order_id})


def test_the_end_of_overdue_reservations_is_requested_with_backoff(engine: Engine) -> None:
    add(engine, "A", 10)
    order, sold, fresh = new_order(), new_order(), new_order()
    for each in (order, sold, fresh):
        place(engine, each, ("A", 2))
    confirm(engine, sold)
    for each in (order, sold):
        age(engine, each, 601)
    assert sum(together([lambda: ask(engine)] * 4)) == 1
    age(engine, order, 601)
    assert ask(engine) == 0
    age(engine, order, 601)
    assert ask(engine) == 1
    assert published_data(engine, order)[1:] == [
        ("reservation.overdue.v1", number, {"order_id": order}) for number in (2, 3)
    ]
    assert stock(engine, "A") == (8, 4, 2)
    assert types(engine, fresh) == ["stock.reserved.v1"]
    check_books(engine)


def test_a_final_event_stops_the_requests_and_versions_continue(engine: Engine) -> None:
    add(engine, "A", 10)
    for answer, end in ((confirm, "stock.sold.v1"), (cancel, "stock.released.v1")):
        order = new_order()
        place(engine, order, ("A", 2))
        age(engine, order, 601)
        assert ask(engine) == 1
        answer(engine, order)
        assert types(engine, order) == ["stock.reserved.v1", "reservation.overdue.v1", end]
        age(engine, order, 100_000)
        assert ask(engine) == 0
    check_books(engine)


def test_a_redelivery_after_the_inbox_was_pruned_changes_nothing(engine: Engine) -> None:
    add(engine, "A", 10)
    order = new_order()
    placed, confirmed = delivery("order.placed.v1", order), delivery("order.confirmed.v1", order)

    def receive() -> None:
        usecases.order_was_placed(engine, placed, order, [Line("A", 2)])
        usecases.order_was_confirmed(engine, confirmed, order)

    receive()
    with pytest.raises(AlreadyHandled):
        receive()
    assert prune_inbox(engine, lambda: True, older_seconds=0) == 2
    receive()
    assert (stock(engine, "A"), status_of(engine, order)) == ((8, 0, 2), "sold")
    assert types(engine, order) == ["stock.reserved.v1", "stock.sold.v1"]
    check_books(engine)
