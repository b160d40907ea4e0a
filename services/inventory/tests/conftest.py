"""A migrated database for the tests of inventory; every test finds it empty."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import psycopg2
import pytest
from sqlalchemy import text

from common.database import make_engine, transaction
from common.migrations import upgrade
from services.inventory.tests.warehouse import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from infrastructure.local.sharing import Servers


@pytest.fixture(scope="session")
def database_url(servers: Servers) -> Iterator[str]:
    name = f"test_inventory_{secrets.token_hex(8)}"
    _administer(servers, f"CREATE DATABASE {name}")
    url = servers.postgres_admin_url.rpartition("/")[0] + "/" + name
    upgrade("inventory", url)
    yield url
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def pool(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=THREADS, timeout_seconds=10, name="test-inventory")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(pool: Engine) -> Engine:
    with transaction(pool) as connection:
        for table in ("products", "reservations", "outbox", "inbox", "idempotency_replies"):
            connection.execute(text(f"DELETE FROM {table}"))
    return pool


def _administer(servers: Servers, statement: str) -> None:
    connection = psycopg2.connect(servers.postgres_admin_url.replace("+psycopg2", ""))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
