"""An empty store with its indexes, and the app on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import FileSystemBytecodeCache

from common.storage.mongodb import connect
from common.tests.sample_service import VERIFIER
from services.operations import metrics, migrations, usecases
from services.operations.main import Settings, create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database


@pytest.fixture
def document_store(migrated_store: Callable[..., str]) -> str:
    return migrated_store(migrations)


@pytest.fixture
def store(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=60, name="test-operations", pool_size=10)
    yield database
    database.client.close()


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Shares compiled templates between the apps of all tests: compiling takes a third of the time of a page's test."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_app(compiled_templates: FileSystemBytecodeCache) -> Iterator[Callable[..., Flask]]:
    """The service on the MongoDB at a URL."""
    made: list[Flask] = []

    def make(url: str, **changes: Any) -> Flask:
        values: dict[str, Any] = {
            "log_level": "WARNING",
            "service_port": 1,
            "service_threads": 4,
            "circuit_breaker_max_failures": 5,
            "jwks_url": "http://127.0.0.1:1/",
            "mongodb_url": url,
            "mongodb_timeout_seconds": 60,
        }
        made.append(create_app(Settings(**values | {"service_host": "127.0.0.1"} | changes), verifier=VERIFIER))
        made[-1].jinja_env.bytecode_cache = compiled_templates
        return made[-1]

    yield make
    for app in made:
        app.extensions["context"].trends.close()
        app.extensions["context"].store.database.client.close()


@pytest.fixture
def client(
    make_app: Callable[..., Flask],
    store: Database[dict[str, Any]],
    document_store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> FlaskClient:
    assert store is not None  # its indexes exist
    # A stalled server is not one that is down.
    monkeypatch.setattr(usecases, "COUNT_SECONDS", 60.0)
    monkeypatch.setattr(metrics, "READ_SECONDS", 60.0)
    return make_app(document_store).test_client()
