"""A migrated database for the tests of inventory; each test starts with empty tables."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import psycopg2
import pytest
from sqlalchemy import text

from common.storage.migrations import upgrade
from common.storage.postgresql import make_engine, transaction
from common.tests.sample_service import VERIFIER
from services.inventory.main import Settings, create_app
from services.inventory.tests.warehouse import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient
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
    # A wait for a lock gets less than half of the time-out.
    engine = make_engine(database_url, pool_size=THREADS, timeout_seconds=150, name="test-inventory")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(pool: Engine) -> Engine:
    with transaction(pool) as connection:
        for table in ("products", "reservations", "outbox", "inbox", "idempotency_replies"):
            connection.execute(text(f"DELETE FROM {table}"))
    return pool


@pytest.fixture(scope="session")
def app(database_url: str) -> Iterator[Flask]:
    settings = Settings(
        database_url=database_url,
        database_timeout_seconds=60,
        jwks_url="http://127.0.0.1:1/never-asked",
        log_level="WARNING",
        service_port=1,
        service_host="127.0.0.1",
        service_threads=8,
    )
    made = create_app(settings, verifier=VERIFIER)
    yield made
    made.extensions["context"].dispose()


@pytest.fixture
def client(app: Flask, engine: Engine) -> FlaskClient:
    return app.test_client()


def _administer(servers: Servers, statement: str) -> None:
    connection = psycopg2.connect(servers.postgres_admin_url.replace("+psycopg2", ""))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
