"""A migrated database of orders, and its app; each test starts with empty tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.money import Money
from common.storage.postgresql import make_engine, transaction
from common.tests.sample_service import VERIFIER
from services.orders.main import Settings, create_app
from services.orders.models import upsert_price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient
    from sqlalchemy import Engine

THREADS = 20


@pytest.fixture
def database_url(migrated_database: Callable[[str], str]) -> str:
    return migrated_database("orders")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    # A wait for a lock gets less than half of the time-out.
    made = make_engine(database_url, pool_size=THREADS, timeout_seconds=150, name="test-orders")
    with transaction(made) as connection:
        upsert_price(connection, sku="TEA", name="Tea", price=Money(450, "usd"), sequence=1)
        upsert_price(connection, sku="POT", name="Pot", price=Money(2500, "usd"), sequence=1)
        upsert_price(connection, sku="CANDY", name="Candy", price=Money(49, "usd"), sequence=1)
        upsert_price(connection, sku="EURO", name="Euro", price=Money(100, "eur"), sequence=1)
        connection.execute(text("SELECT 1"))
    yield made
    made.dispose()


@pytest.fixture
def client(database_url: str, engine: Engine) -> FlaskClient:
    settings = Settings(
        log_level="WARNING",
        service_port=1,
        service_host="127.0.0.1",
        service_threads=THREADS,
        jwks_url="http://127.0.0.1:1/",
        database_url=database_url,
        database_timeout_seconds=60,
    )
    assert engine is not None  # the price list is stored
    return create_app(settings, verifier=VERIFIER).test_client()
