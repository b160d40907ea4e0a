"""Every route once through the gateway, with its documented fields and statuses."""

import uuid
from typing import Any

import pytest

from tests.e2e.api import answer, problem
from tests.e2e.shop import CONFIRMED, ORDERS, PAYMENTS, PRODUCTS, Customer, Shop, order_of, place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

USER = {"id", "username", "email", "role", "version", "created_at"}
ORDER = {
    "id", "customer_id", "status", "cancel_reason", "items", "total", "payment_method", "created_at", "version",
}  # fmt: skip
PRODUCT = {"sku", "name", "price", "on_hand", "reserved", "available", "sold", "version"}
PAYMENT = {
    "id", "order_id", "amount", "refunded", "refunded_elsewhere", "refund_pending", "refund_refusal", "status",
    "decline_code", "provider_id", "created_at", "version",
}  # fmt: skip
REFUND = {
    "id", "payment_id", "order_id", "amount", "refunded", "status", "reason", "provider_id", "created_at",
}  # fmt: skip
ENTRY = {"id", "type", "source", "sequence", "time", "delay_seconds", "summary", "data"}


def listed(reply: Any, url: str) -> list[dict[str, Any]]:
    """The items of a list object."""
    page = answer(reply)
    assert set(page) == {"object", "data", "has_more", "url"}
    assert (page["object"], page["url"]) == ("list", url)
    items: list[dict[str, Any]] = page["data"]
    return items


def test_a_user_registers_once(shop: Shop) -> None:
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    body = {"username": name, "email": f"{name}@example.com", "password": "correct horse battery"}
    user = answer(shop.anyone.post("/api/v1/users", body), 201)
    assert set(user) == USER
    assert (user["username"], user["email"], user["role"], user["version"]) == (name, body["email"], "customer", 1)
    assert problem(shop.anyone.post("/api/v1/users", body)) == (409, "username_taken")


def test_a_user_needs_no_password(shop: Shop) -> None:
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    user = answer(shop.anyone.post("/api/v1/users", {"username": name, "email": f"{name}@example.com"}), 201)
    assert set(user) == USER | {"api_key"}


def test_tokens_are_issued_for_a_password_or_an_api_key(shop: Shop) -> None:
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    person = {"username": name, "email": f"{name}@example.com", "password": "correct horse battery"}
    user = answer(shop.anyone.post("/api/v1/users", person), 201)
    for proof in ("username", "email"):
        credentials = {proof: person[proof], "password": person["password"]}
        token = answer(shop.anyone.post("/api/v1/tokens", credentials))
        assert set(token) == {"access_token", "token_type", "expires_in"}
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
        reply = shop.anyone.send(
            "GET", "/api/v1/users/me", headers={"Authorization": f"Bearer {token['access_token']}"}
        )
        assert answer(reply) == user
    wrong = {"username": name, "password": "correct horse buttery"}
    assert problem(shop.anyone.post("/api/v1/tokens", wrong)) == (401, "invalid_credentials")


def test_api_keys_are_created_listed_and_deleted(shop: Shop, customer: Customer) -> None:
    made = answer(customer.api.post("/api/v1/api-keys"), 201)
    assert set(made) == {"id", "hint", "created_at", "api_key"}
    assert answer(shop.anyone.post("/api/v1/tokens", {"api_key": made["api_key"]}))["access_token"]
    keys = listed(customer.api.get("/api/v1/api-keys"), "/api/v1/api-keys")
    assert len(keys) == 2
    assert all(set(key) == {"id", "hint", "created_at"} for key in keys)
    assert customer.api.delete(f"/api/v1/api-keys/{made['id']}").status_code == 204
    assert problem(customer.api.delete(f"/api/v1/api-keys/{made['id']}")) == (404, "not_found")
    refused = shop.anyone.post("/api/v1/tokens", {"api_key": made["api_key"]})
    assert problem(refused) == (401, "invalid_credentials")


def test_public_keys_are_published(shop: Shop) -> None:
    keys = answer(shop.anyone.get("/.well-known/jwks.json"))["keys"]
    assert keys
    assert all((key["kty"], key["crv"]) == ("OKP", "Ed25519") and "d" not in key for key in keys)


def test_products_are_created_and_listed(shop: Shop, customer: Customer) -> None:
    sku = f"E2E-{uuid.uuid4().hex[:12]}"
    body = {"sku": sku, "name": "Kettle", "price": {"amount": 4900, "currency": "eur"}, "on_hand": 7}
    assert problem(customer.api.post(PRODUCTS, body)) == (403, "forbidden")
    product = answer(shop.operator.post(PRODUCTS, body), 201)
    assert product == {**body, "reserved": 0, "available": 7, "sold": 0, "version": 2}
    assert set(product) == PRODUCT
    assert problem(shop.operator.post(PRODUCTS, body)) == (409, "sku_taken")
    assert answer(customer.api.get(f"{PRODUCTS}/{sku}")) == product
    shown = listed(customer.api.get(PRODUCTS, limit=1), PRODUCTS)
    assert [set(item) for item in shown] == [PRODUCT]


def test_products_are_changed(shop: Shop, customer: Customer) -> None:
    sku = shop.product(on_hand=7)
    changed = answer(
        shop.operator.patch(f"{PRODUCTS}/{sku}", {"name": "Red", "price": {"amount": 1, "currency": "usd"}})
    )
    assert (changed["name"], changed["price"]["amount"], changed["version"]) == ("Red", 1, 3)
    adjustments = f"{PRODUCTS}/{sku}/stock-adjustments"
    more = answer(shop.operator.post(adjustments, {"delta": 3, "reason": "delivery"}))
    assert (more["on_hand"], more["available"], more["version"]) == (10, 10, 4)
    less = shop.operator.post(adjustments, {"delta": -11, "reason": "theft"})
    assert problem(less) == (409, "below_reserved")
    for refused in (
        customer.api.patch(f"{PRODUCTS}/{sku}", {"name": "Mine"}),
        customer.api.post(adjustments, {"delta": 1, "reason": "mine"}),
    ):
        assert problem(refused) == (403, "forbidden")
    assert shop.stock(sku) == more


def test_orders_are_placed_and_listed(shop: Shop, customer: Customer) -> None:
    sku = shop.product()
    reply = customer.api.post(ORDERS, order_of({sku: 1}), key=str(uuid.uuid4()))
    first = answer(reply, 202)
    assert set(first) == ORDER
    assert reply.headers["Location"] == f"{ORDERS}/{first['id']}"
    assert first["customer_id"] == customer.id
    second = place(customer, {sku: 2})
    shop.ended(first["id"], "confirmed")
    shop.ended(second["id"], "confirmed")

    assert answer(customer.api.get(f"{ORDERS}/{first['id']}"))["status"] == "confirmed"
    page = answer(customer.api.get(ORDERS, limit=1))
    assert ([order["id"] for order in page["data"]], page["has_more"]) == ([second["id"]], True)
    rest = answer(customer.api.get(ORDERS, limit=1, starting_after=second["id"]))
    assert ([order["id"] for order in rest["data"]], rest["has_more"]) == ([first["id"]], False)
    assert [order["id"] for order in listed(customer.api.get(ORDERS, status="cancelled"), ORDERS)] == []
    newest = listed(shop.operator.get(ORDERS, limit=2), ORDERS)
    assert [order["id"] for order in newest] == [second["id"], first["id"]]


def test_orders_are_cancelled(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(on_hand=0): 1})
    reply = customer.api.post(f"{ORDERS}/{placed['id']}/cancel")
    order = answer(reply)
    assert set(order) == ORDER
    assert order["status"] == "cancelled"
    assert order["cancel_reason"] in {"customer_request", "out_of_stock"}


def test_payments_are_listed_and_refunded(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(): 1})
    payment = shop.payment(placed["id"], "captured")
    assert set(payment) == PAYMENT
    assert (payment["order_id"], payment["amount"], payment["decline_code"]) == (placed["id"], placed["total"], None)
    assert payment["version"] == 1
    assert answer(customer.api.get(f"{PAYMENTS}/{payment['id']}")) == payment
    assert listed(customer.api.get(PAYMENTS, order_id=placed["id"]), PAYMENTS) == [payment]
    refund = answer(shop.operator.post(f"{PAYMENTS}/{payment['id']}/refunds", {"reason": "broken"}), 201)
    assert set(refund) == REFUND
    assert (refund["payment_id"], refund["order_id"], refund["reason"]) == (payment["id"], placed["id"], "broken")


def test_events_and_timelines_are_listed(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(on_hand=0): 1})
    shop.await_events(placed["id"], "order.placed.v1", "stock.rejected.v1", "order.cancelled.v1")
    path = f"{ORDERS}/{placed['id']}/timeline"
    timeline = listed(customer.api.get(path), path)
    assert all(set(entry) == ENTRY for entry in timeline)
    events = listed(shop.operator.get("/api/v1/events", subject=placed["id"]), "/api/v1/events")
    assert {event["id"] for event in events} == {entry["id"] for entry in timeline}
    assert all(event["orderid"] == placed["id"] for event in events)
    assert len({event["correlationid"] for event in events}) == 1
    since = listed(
        shop.operator.get("/api/v1/events", type="order.placed.v1", since=events[-1]["time"]), "/api/v1/events"
    )
    assert placed["id"] in {event["subject"] for event in since}
    assert problem(customer.api.get("/api/v1/events")) == (403, "forbidden")


def test_events_carry_the_request_id_as_correlation_id(shop: Shop, customer: Customer) -> None:
    mark = f"e2e-{uuid.uuid4()}"
    headers = {"Request-Id": mark}
    body = order_of({shop.product(): 1})
    reply = customer.api.send("POST", ORDERS, json=body, key=str(uuid.uuid4()), headers=headers)
    assert reply.headers["Request-Id"] == mark
    order_id = answer(reply, 202)["id"]
    shop.await_events(order_id, *CONFIRMED)
    events = answer(shop.operator.get("/api/v1/events", subject=order_id))["data"]
    assert {event["correlationid"] for event in events} == {mark}
