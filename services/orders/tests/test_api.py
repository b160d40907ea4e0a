"""The orders API: replies, replays, and specific problems for invalid input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.money import Money
from common.storage.postgresql import transaction
from common.tests.sample_service import bearer
from services.orders import usecases
from services.orders.domain import CancelReason
from services.orders.models import upsert_price
from services.orders.tests.builders import delivery_of, place, published

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
BODY: dict[str, Any] = {"items": [{"sku": "TEA", "quantity": 2}], "payment_method": "pm_card_visa"}
ANN = bearer(sub="ann")


def post(client: Any, body: Any, key: str = "", **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    sent = {"Content-Type": "application/json", "Idempotency-Key": key or new_id()} | ANN | headers
    return client.post("/api/v1/orders", data=data, headers=sent)


def test_an_order_is_accepted_and_can_be_read(client: Any) -> None:
    reply = post(client, BODY)
    assert reply.status_code == 202
    order = reply.json
    assert order["status"] == "pending"
    assert order["total"] == {"amount": 900, "currency": "usd"}
    assert order["items"] == [{"sku": "TEA", "quantity": 2, "unit_price": {"amount": 450, "currency": "usd"}}]
    assert order["version"] == 1
    assert reply.headers["Location"] == f"/api/v1/orders/{order['id']}"
    assert client.get(reply.headers["Location"], headers=ANN).json == order


def test_a_repeated_request_gets_the_same_reply(client: Any) -> None:
    first, second = post(client, BODY, key="k"), post(client, BODY, key='"k"')
    assert second.json == first.json
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = post(client, BODY | {"payment_method": "pm_other"}, key="k")
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


def test_orders_are_paginated_newest_first(client: Any) -> None:
    placed = [post(client, BODY).json["id"] for _ in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = client.get(f"/api/v1/orders{query}", headers=ANN).json
        seen += [order["id"] for order in page["data"]]
        if not page["has_more"]:
            break
        query = f"?limit=2&starting_after={seen[-1]}"
    assert seen == placed[::-1]
    assert client.get("/api/v1/orders", headers=bearer(sub="bob")).json["data"] == []
    assert len(client.get("/api/v1/orders", headers=bearer(sub="op", role="operator")).json["data"]) == 5


def test_an_operator_filters_orders_by_customer_and_a_customer_lists_only_their_own(client: Any) -> None:
    ann, bob = "0190a1b2-0000-7000-8000-000000000001", "0190a1b2-0000-7000-8000-000000000002"
    place = {**bearer(sub=ann), "Idempotency-Key": "k"}
    order_id = client.post("/api/v1/orders", json=BODY, headers=place).json["id"]

    def listed(customer_id: str, **who: str) -> list[str]:
        page = client.get(f"/api/v1/orders?customer_id={customer_id}", headers=bearer(**who))
        return [order["id"] for order in page.json["data"]]

    assert listed(ann, sub="op", role="operator") == [order_id]
    assert listed(bob, sub="op", role="operator") == []
    assert listed(bob, sub=ann) == [order_id]
    assert listed(ann, sub=bob) == []
    assert client.get("/api/v1/orders?customer_id=x", headers=ANN).status_code == 422


def test_an_order_can_be_cancelled_by_its_customer_only(client: Any) -> None:
    order_id = post(client, BODY).json["id"]
    path = f"/api/v1/orders/{order_id}/cancel"
    assert client.post(path, headers=bearer(sub="bob")).status_code == 404
    for _ in range(2):
        reply = client.post(path, headers=ANN | {"Idempotency-Key": "c"})
        assert reply.status_code == 200
        assert reply.json["cancel_reason"] == "customer_request"
    assert reply.headers["Idempotent-Replayed"] == "true"


def test_an_order_with_an_outdated_unit_price_is_rejected(client: Any, engine: Engine) -> None:
    seen = {"amount": 450, "currency": "usd"}
    body = {"items": [{"sku": "TEA", "quantity": 2, "unit_price": seen}], "payment_method": "pm_card_visa"}
    first = post(client, body, key="k")
    assert (first.status_code, first.json["total"]["amount"]) == (202, 900)
    with transaction(engine) as connection:
        upsert_price(connection, sku="TEA", name="Tea", price=Money(600, "usd"), sequence=2)
    changed = post(client, body)
    assert (changed.status_code, changed.json["code"]) == (409, "price_changed")
    assert changed.json["errors"] == {"items.0.unit_price": ["You saw 450 usd; the price is 600 usd."]}
    assert post(client, body, key="k").json == first.json, "a repetition is answered before prices are compared"
    assert len(client.get("/api/v1/orders", headers=ANN).json["data"]) == 1


def item(**changes: Any) -> dict[str, Any]:
    return {"items": [{"sku": "TEA", "quantity": 1} | changes], "payment_method": "pm_card_visa"}


BAD: dict[str, tuple[Any, int, str]] = {
    "unknown sku": (item(sku="MOON"), 422, "unknown_sku"),
    "quantity 0": (item(quantity=0), 422, "invalid_request"),
    "quantity -1": (item(quantity=-1), 422, "invalid_request"),
    "quantity 10^9": (item(quantity=10**9), 422, "invalid_request"),
    "quantity 10^30": (item(quantity=10**30), 400, "malformed_json"),
    "quantity 1.5": (item(quantity=1.5), 422, "invalid_request"),
    "quantity true": (item(quantity=True), 422, "invalid_request"),
    "quantity as text": (item(quantity="1"), 422, "invalid_request"),
    "no items": (BODY | {"items": []}, 422, "invalid_request"),
    "items not a list": (BODY | {"items": {"sku": "TEA"}}, 422, "invalid_request"),
    "a sku twice": (BODY | {"items": BODY["items"] * 2}, 422, "invalid_request"),
    "101 items": (
        BODY | {"items": [{"sku": f"S{number}", "quantity": 1} for number in range(101)]},
        422,
        "invalid_request",
    ),
    "unknown field": (BODY | {"discount": 100}, 422, "invalid_request"),
    "unknown field in an item": (item(price=1), 422, "invalid_request"),
    "two currencies": (
        BODY | {"items": [{"sku": "TEA", "quantity": 1}, {"sku": "EURO", "quantity": 1}]},
        422,
        "mixed_currencies",
    ),
    "a price below zero": (item(unit_price={"amount": -1, "currency": "usd"}), 422, "invalid_request"),
    "a price without currency": (item(unit_price={"amount": 450}), 422, "invalid_request"),
    "another price": (item(unit_price={"amount": 449, "currency": "usd"}), 409, "price_changed"),
    "less than can be charged": (item(sku="CANDY"), 422, "total_too_small"),
    "no payment method": ({"items": BODY["items"]}, 422, "invalid_request"),
    "NUL in a sku": (item(sku="T\x00A"), 400, "malformed_json"),
    "a list": ([1], 422, "invalid_request"),
    "null": (None, 422, "invalid_request"),
    "half JSON": (b'{"items": [', 400, "malformed_json"),
    "empty": (b"", 0, ""),
    "invalid UTF-8": (b'{"items": "\xff"}', 400, ""),
    "nested deeply": (b"[" * 50_000, 0, ""),
    "10,000 items": (
        BODY | {"items": [{"sku": f"S{number}", "quantity": 1} for number in range(10_000)]},
        413,
        "body_too_large",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_invalid_input_returns_a_problem_and_creates_no_order(client: Any, name: str) -> None:
    body, status, code = BAD[name]
    reply = post(client, body)
    assert 400 <= reply.status_code < 500
    assert reply.content_type == "application/problem+json"
    assert reply.json["request_id"] == reply.headers["Request-Id"]
    assert not status or reply.status_code == status
    assert not code or reply.json["code"] == code
    assert client.get("/api/v1/orders", headers=ANN).json["data"] == []


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "x" * 10_000, "schlüssel", '"unclosed'])
def test_an_invalid_idempotency_key_is_rejected(client: Any, key: str) -> None:
    headers = ANN | {"Idempotency-Key": key, "Content-Type": "application/json"}
    reply = client.post("/api/v1/orders", data=json.dumps(BODY), headers=headers)
    assert reply.status_code == 400


def test_an_order_requires_an_idempotency_key(client: Any) -> None:
    reply = client.post("/api/v1/orders", json=BODY, headers=ANN)
    assert (reply.status_code, reply.json["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "starting_after=1", "page=2", "status=lost"])
def test_an_invalid_query_is_rejected(client: Any, query: str) -> None:
    assert client.get(f"/api/v1/orders?{query}", headers=ANN).status_code in {400, 422}


@pytest.mark.parametrize("order_id", ["1", "..", "%00", "x" * 2000, new_id()])
def test_an_unknown_order_is_404(client: Any, order_id: str) -> None:
    assert client.get(f"/api/v1/orders/{order_id}", headers=ANN).status_code in {400, 404}


def test_requests_without_a_token_are_rejected(client: Any) -> None:
    for method, path in (("POST", ""), ("GET", ""), ("GET", f"/{new_id()}"), ("POST", f"/{new_id()}/cancel")):
        reply = client.open(f"/api/v1/orders{path}", method=method)
        assert (reply.status_code, reply.json["code"]) == (401, "unauthenticated")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_operator_resends_the_final_event(client: Any, engine: Engine) -> None:
    operator = bearer(sub="op", role="operator")
    order_id = place(engine)
    path = f"/api/v1/orders/{order_id}/re-emit"
    assert client.post(path, headers=bearer(sub="ann")).status_code == 403
    assert client.post(path, headers=operator).get_json()["code"] == "order_has_no_end"
    assert client.post(f"/api/v1/orders/{new_id()}/re-emit", headers=operator).status_code == 404
    usecases.cancel_failed_order(
        engine, delivery_of("payment.declined.v1", order_id), order_id, CancelReason.PAYMENT_DECLINED
    )
    for _ in range(2):
        reply = client.post(path, headers=operator)
        assert (reply.status_code, reply.get_json()["status"], reply.get_json()["version"]) == (202, "cancelled", 2)
    _, *ends = published(engine, order_id)
    assert len(ends) == 3
    assert ends[0] == ends[1] == ends[2]
