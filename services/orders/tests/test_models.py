"""Listing reads a page by an index, independent of the number of orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.storage.postgresql import autocommit, transaction
from common.tests.query_plans import explained
from services.orders import models
from services.orders.search import OrderFilter

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
_MANY = text("""
    INSERT INTO orders (id, customer_id, idempotency_key, fingerprint, status, items, total, currency, payment_method,
                        version, created_at, updated_at, clock_reading)
    SELECT gen_random_uuid(), 'customer-' || n % 20, n, 'f', 'confirmed', '[]', 1, 'usd', 'pm_card_visa', 3, now(),
           now(), 0
    FROM generate_series(1, 20000) AS n
""")


@pytest.fixture
def many(engine: Engine) -> Engine:
    with transaction(engine) as connection:
        connection.execute(_MANY)
    with autocommit(engine) as connection:
        connection.execute(text("ANALYZE orders"))
    return engine


@pytest.mark.parametrize("customer_id", [None, "customer-7"])
@pytest.mark.parametrize("status", [None, "confirmed"])
@pytest.mark.parametrize("before", [None, "ffffffff-ffff-4fff-bfff-ffffffffffff"])
def test_a_page_is_read_by_an_index(
    many: Engine, customer_id: str | None, status: str | None, before: str | None
) -> None:
    with explained(many) as nodes, autocommit(many) as connection:
        found = models.page(connection, OrderFilter(customer_id=customer_id, status=status), before=before, limit=10)
    assert len(found) == 10
    assert [order.id for order in found] == sorted((order.id for order in found), reverse=True)
    assert {node["Node Type"] for node in nodes} == {"Limit", "Index Scan"}


@pytest.mark.parametrize("customer_id", [None, "customer-7"])
def test_pages_of_a_status_contain_every_order_once(many: Engine, customer_id: str | None) -> None:
    with transaction(many) as connection:
        connection.execute(text("UPDATE orders SET status = 'pending' WHERE idempotency_key = ANY('{7,27,47}')"))
        connection.execute(text("UPDATE orders SET status = 'reserved' WHERE idempotency_key = '67'"))
        found: list[str] = []
        while page := models.page(
            connection,
            OrderFilter(customer_id=customer_id, status="pending"),
            before=found[-1] if found else None,
            limit=2,
        ):
            assert {order.status for order in page} == {"pending"}
            found += [order.id for order in page]
    assert len(found) == 3
    assert found == sorted(set(found), reverse=True)
