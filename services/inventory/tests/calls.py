"""Requests to the inventory service, for its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.tests.sample_service import bearer

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

PRODUCTS = "/api/v1/products"
KETTLE: dict[str, Any] = {
    "sku": "KETTLE-RED",
    "name": "A red kettle",
    "price": {"amount": 1999, "currency": "usd"},
    "on_hand": 10,
}


def operator() -> dict[str, str]:
    return bearer(sub="operator-1", role="operator")


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> TestResponse:
    """POST as an operator. `headers`: `idempotency_key="k"` is sent as `Idempotency-Key: k`."""
    return client.post(PRODUCTS + path, json=body, headers=operator() | _named(headers))


def patch(client: FlaskClient, sku: str, body: Any, **headers: str) -> TestResponse:
    return client.patch(f"{PRODUCTS}/{sku}", json=body, headers=operator() | _named(headers))


def get(client: FlaskClient, path: str = "") -> TestResponse:
    """GET as a customer."""
    return client.get(PRODUCTS + path, headers=bearer())


def answer(reply: TestResponse, status: int) -> Any:
    """The reply's JSON; fails unless it has that status."""
    body = reply.get_json()
    assert reply.status_code == status, body
    return body


def problem(reply: TestResponse) -> tuple[int, str]:
    """The status and code of a problem document."""
    body = reply.get_json()
    assert reply.content_type == "application/problem+json", body
    assert body["status"] == reply.status_code
    assert body["request_id"] == reply.headers["Request-Id"]
    return reply.status_code, body["code"]


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
