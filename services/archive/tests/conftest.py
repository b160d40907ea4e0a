"""An empty archive with its indexes, and its app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.tests.sample_service import VERIFIER
from services.archive import migrations
from services.archive.main import Settings, create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database


@pytest.fixture
def archive(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=60, name="test-archive", pool_size=10)
    upgrade(migrations, database, wait_seconds=60)
    yield database
    database.client.close()


@pytest.fixture
def make_app() -> Iterator[Callable[..., Flask]]:
    """The service on the MongoDB at a URL, which it waits for `mongodb_timeout_seconds`."""
    made: list[Flask] = []

    def make(url: str, mongodb_timeout_seconds: float = 60) -> Flask:
        settings = Settings(
            log_level="WARNING",
            service_port=1,
            service_host="127.0.0.1",
            service_threads=4,
            jwks_url="http://127.0.0.1:1/",
            mongodb_url=url,
            mongodb_timeout_seconds=mongodb_timeout_seconds,
        )
        made.append(create_app(settings, verifier=VERIFIER))
        return made[-1]

    yield make
    for app in made:
        app.extensions["context"].database.client.close()


@pytest.fixture
def client(make_app: Callable[..., Flask], archive: Database[dict[str, Any]], document_store: str) -> FlaskClient:
    assert archive is not None  # its indexes exist
    return make_app(document_store).test_client()
