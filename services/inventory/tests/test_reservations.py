"""The rows that a batch locks, and their order: two batches never deadlock."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.errors import LockTimeout, classify
from common.storage.postgresql import transaction
from services.inventory.domain import Line, Reservation, Status
from services.inventory.reservations import together
from services.inventory.tests.warehouse import add, new_order, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

pytestmark = pytest.mark.integration
SKUS = "ABC"


@pytest.fixture(autouse=True)
def products(engine: Engine) -> None:
    for sku in SKUS:
        add(engine, sku, 10)


def is_free(engine: Engine, table: str, key: str, value: str) -> bool:
    query = text(f"SELECT 1 FROM {table} WHERE {key} = :value FOR UPDATE NOWAIT")
    try:
        with transaction(engine) as connection:
            connection.execute(query, {"value": value}).one()
    except Exception as error:
        if classify(error) is LockTimeout:
            return False
        raise
    return True


def free_products(engine: Engine) -> str:
    return "".join(sku for sku in SKUS if is_free(engine, "products", "sku", sku))


def wait_for_a_waiting_lock(engine: Engine, count: int) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 60
    waiting = 0
    while waiting < count:
        assert time.monotonic() < deadline, "nobody waits"
        with transaction(engine) as connection:
            waiting = connection.execute(text(query)).scalar_one()


def lock(connection: Connection, *skus: str, order_ids: Sequence[str] = ()) -> None:
    """Lock like a batch: a new order of these products, and orders that end."""
    lines = tuple(Line(sku, 1) for sku in skus)
    placed = [Reservation(order_id=new_order(), status=Status.HELD, lines=lines, version=1)] if lines else []
    with together(connection, placed=placed, order_ids=order_ids):
        pass


def test_products_of_new_orders_are_locked_until_the_transaction_ends(engine: Engine) -> None:
    with transaction(engine) as connection:
        lock(connection, "C", "A")
        assert free_products(engine) == "B"
    assert free_products(engine) == SKUS


def test_ending_orders_lock_their_reservations_and_reserved_products(engine: Engine) -> None:
    order, other = new_order(), new_order()
    place(engine, order, ("B", 1), ("A", 1))
    place(engine, other, ("C", 1))
    with transaction(engine) as connection:
        lock(connection, order_ids=[order])
        assert free_products(engine) == "C"
        assert not is_free(engine, "reservations", "order_id", order)
        assert is_free(engine, "reservations", "order_id", other)


def test_unknown_orders_and_products_lock_nothing(engine: Engine) -> None:
    with transaction(engine) as connection:
        lock(connection, "unheard of", order_ids=[new_order()])
        assert free_products(engine) == SKUS


def test_products_are_locked_in_sku_order(engine: Engine) -> None:
    """Requested in the opposite order, it waits for the first product and locks no other."""

    def work() -> None:
        with transaction(engine) as connection:
            lock(connection, "C", "B", "A")

    with ThreadPoolExecutor(1) as executor:
        with transaction(engine) as holder:
            lock(holder, "A")
            waiting = executor.submit(work)
            wait_for_a_waiting_lock(engine, 1)
            assert free_products(engine) == "BC"
        waiting.result(60)


def test_products_are_locked_after_reservations(engine: Engine) -> None:
    """Like for a single event: the order's reservation first."""
    order = new_order()
    place(engine, order, ("A", 1))

    def work() -> None:
        with transaction(engine) as connection:
            lock(connection, "A", order_ids=[order])

    with ThreadPoolExecutor(1) as executor:
        with transaction(engine) as holder:
            holder.execute(text("SELECT FROM reservations WHERE order_id = :id FOR UPDATE"), {"id": order})
            waiting = executor.submit(work)
            wait_for_a_waiting_lock(engine, 1)
            assert free_products(engine) == SKUS
        waiting.result(60)
