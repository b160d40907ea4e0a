"""The console on an empty store, with fakes of the other contexts and a browser session."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from common.tests.sample_service import token
from services.operations import monitoring, usecases
from services.operations.console import contexts
from services.operations.console.tests.fake_services import Fakes, fakes
from services.operations.tests.conftest import compiled_templates, document_store, make_app, store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database
    from werkzeug.test import TestResponse

__all__ = ["compiled_templates", "document_store", "make_app", "store"]
NAME, PASSWORD = "olga", "correct horse battery"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service may stall for a moment and still answer; a test of one that does not answer shortens the wait."""
    for name in ("CONNECT_SECONDS", "READ_SECONDS", "READY_SECONDS", "ACT_SECONDS"):
        monkeypatch.setattr(contexts, name, 60.0)
    monkeypatch.setattr(monitoring, "POLL_SECONDS", 60.0)
    monkeypatch.setattr(monitoring, "REQUEST_SECONDS", (60.0, 60.0))
    monkeypatch.setattr(usecases, "COUNT_SECONDS", 60.0)


@pytest.fixture
def others() -> Iterator[Fakes]:
    with fakes("users", "orders", "payments", "archive", "inventory", "notifications") as running:
        running["users"].answers["POST /api/v1/tokens"] = (
            200,
            {"access_token": token(role="operator"), "token_type": "Bearer", "expires_in": 3600},
        )
        nothing = (200, {"data": [], "has_more": False})
        running["archive"].answers["GET /api/v1/events"] = nothing
        running["notifications"].answers |= dict.fromkeys(
            ("GET /api/v1/deliveries", "GET /api/v1/webhook-endpoints"), nothing
        )
        for service in running.services.values():
            service.answers |= {"GET /metrics": (200, b""), "GET /readyz": (200, {"status": "ok"})}
        yield running


@pytest.fixture
def app(make_app: Callable[..., Flask], store: Database[dict[str, Any]], document_store: str, others: Fakes) -> Flask:
    assert store is not None  # its indexes exist
    return make_app(document_store, metrics_urls=others.metrics_urls)


@pytest.fixture
def anyone(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def operator(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert sign_in(client).status_code == 303
    return client


def sign_in(client: FlaskClient, **changes: str) -> TestResponse:
    form = {"csrf": csrf_of(client.get("/console/sign-in")), "name": NAME, "password": PASSWORD}
    return client.post("/console/sign-in", data=form | changes)


def csrf_of(page: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]
