from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from services.users.main import create_app
from services.users.tests.accounts import NOWHERE, settings


@pytest.fixture
def app(migrated_database: Callable[[str], str]) -> Iterator[Flask]:
    """The service on a fresh database."""
    app = create_app(settings(migrated_database("users")))
    yield app
    app.extensions["context"].engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def engine(app: Flask) -> Engine:
    engine: Engine = app.extensions["context"].engine
    return engine


@pytest.fixture(scope="session")
def lonely_client() -> FlaskClient:
    """The service without its database, for requests that are rejected before it is needed."""
    return create_app(settings(NOWHERE)).test_client()
