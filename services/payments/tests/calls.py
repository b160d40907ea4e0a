"""Requests to the payments service, for its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.tests.sample_service import bearer
from services.payments.tests.builders import CUSTOMER

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

PAYMENTS = "/api/v1/payments"
REASON = {"reason": "broken on arrival"}


def operator() -> dict[str, str]:
    return bearer(sub="operator-1", role="operator")


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "usd"}


def get(client: FlaskClient, path: str = "", who: str = CUSTOMER) -> TestResponse:
    """GET as a customer."""
    return client.get(PAYMENTS + path, headers=bearer(sub=who))


def refund(client: FlaskClient, payment_id: str, body: Any, key: str | None = None) -> TestResponse:
    """Request a refund as an operator."""
    headers = operator() | ({"Idempotency-Key": key} if key else {})
    return client.post(f"{PAYMENTS}/{payment_id}/refunds", json=body, headers=headers)


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
