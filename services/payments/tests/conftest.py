"""A migrated database and a real sandbox for the tests of payments; each test starts with an empty database."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import psycopg2
import pytest
from sqlalchemy import text

from common.storage.migrations import upgrade
from common.storage.postgresql import make_engine, transaction
from common.tests.sample_service import VERIFIER
from infrastructure.sandbox.tests.process import KEY, SandboxProcess
from services.payments.main import Settings, create_app
from services.payments.provider import ProviderSettings, make_provider
from services.payments.resources import Resources
from services.payments.tests.builders import THREADS
from services.payments.tests.provider_answers import BOUND_SECONDS, provider_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

    from infrastructure.local.sharing import Servers
    from services.payments.provider import Provider

PROVIDER_SECONDS = 60.0
MAX_FAILURES = 1000  # most tests bypass the breaker


@pytest.fixture(scope="session")
def database_url(servers: Servers) -> Iterator[str]:
    name = f"test_payments_{secrets.token_hex(8)}"
    _administer(servers, f"CREATE DATABASE {name}")
    url = servers.postgres_admin_url.rpartition("/")[0] + "/" + name
    upgrade("payments", url)
    yield url
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def pool(database_url: str) -> Iterator[Engine]:
    # A wait for a lock gets less than half of the time-out.
    engine = make_engine(database_url, pool_size=THREADS, timeout_seconds=150, name="test-payments")
    yield engine
    engine.dispose()


@pytest.fixture
def engine(pool: Engine) -> Engine:
    with transaction(pool) as connection:
        for table in ("external_refunds", "refunds", "payments", "outbox", "inbox", "idempotency_replies"):
            connection.execute(text(f"DELETE FROM {table}"))
    return pool


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox") / "data")
    try:
        yield process.start()
    finally:
        process.close()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    """The provider without faults; its ledger still has the charges of earlier tests."""
    sandbox_process.set_faults()
    return sandbox_process


@pytest.fixture
def provider_settings(sandbox: SandboxProcess) -> ProviderSettings:
    return ProviderSettings(
        stripe_api_key=KEY,
        stripe_api_base=sandbox.url,
        stripe_timeout_seconds=PROVIDER_SECONDS,
        circuit_breaker_max_failures=MAX_FAILURES,
    )


@pytest.fixture
def provider(provider_settings: ProviderSettings) -> Provider:
    return make_provider(provider_settings)


@pytest.fixture
def resources(engine: Engine, provider: Provider) -> Resources:
    return Resources(engine, provider)


@pytest.fixture
def impatient(engine: Engine, sandbox: SandboxProcess) -> Resources:
    """Resources with the shortest time-outs, for providers that hang: any request may fail, even without a fault."""
    return Resources(engine, provider_at(sandbox.url, seconds=BOUND_SECONDS))


@pytest.fixture(scope="session")
def app(database_url: str, sandbox_process: SandboxProcess) -> Iterator[Flask]:
    settings = Settings(
        database_url=database_url,
        database_timeout_seconds=60,
        stripe_api_key=KEY,
        stripe_api_base=sandbox_process.url,
        stripe_timeout_seconds=PROVIDER_SECONDS,
        circuit_breaker_max_failures=MAX_FAILURES,
        jwks_url="http://127.0.0.1:1/never-asked",
        log_level="WARNING",
        service_port=1,
        service_host="127.0.0.1",
        service_threads=THREADS,
    )
    made = create_app(settings, verifier=VERIFIER)
    yield made
    made.extensions["context"].engine.dispose()


@pytest.fixture
def client(app: Flask, resources: Resources) -> FlaskClient:
    return app.test_client()


def _administer(servers: Servers, statement: str) -> None:
    connection = psycopg2.connect(servers.postgres_admin_url.replace("+psycopg2", ""))
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
