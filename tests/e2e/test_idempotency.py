"""Idempotency-Key through the gateway: repeated requests get the first reply and have one effect."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.api import Api, answer, problem
from tests.e2e.shop import ORDERS, PAYMENTS, PRODUCTS, Customer, Shop, order_of, place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
REPLAYED = "Idempotent-Replayed"


def test_an_order_is_placed_once_per_key(shop: Shop, customer: Customer) -> None:
    sku, key = shop.product(), str(uuid.uuid4())
    reply = customer.api.post(ORDERS, order_of({sku: 1}), key=key)
    first = answer(reply, 202)
    assert REPLAYED not in reply.headers
    shop.ended(first["id"], "confirmed")
    for same in (key, f'"{key}"'):
        again = customer.api.post(ORDERS, order_of({sku: 1}), key=same)
        assert answer(again, 202) == first
        assert again.headers[REPLAYED] == "true"
    assert problem(customer.api.post(ORDERS, order_of({sku: 2}), key=key)) == (422, "idempotency_key_reused")
    assert [order["id"] for order in customer.api.all(ORDERS)] == [first["id"]]


def test_a_key_belongs_to_its_caller(shop: Shop, customer: Customer) -> None:
    sku, key = shop.product(), str(uuid.uuid4())
    orders = {place(somebody, {sku: 1}, key=key)["id"] for somebody in (customer, shop.customer())}
    assert len(orders) == 2


def test_an_order_without_a_key_is_rejected(shop: Shop, customer: Customer) -> None:
    reply = customer.api.post(ORDERS, order_of({shop.product(): 1}))
    assert problem(reply) == (400, "idempotency_key_missing")
    assert customer.api.all(ORDERS) == []


def test_concurrent_requests_with_one_key_create_one_order(shop: Shop, customer: Customer) -> None:
    body, key = order_of({shop.product(): 1}), str(uuid.uuid4())

    def send(_number: int) -> str:
        reply = Api(shop.url, customer.token).post(ORDERS, body, key=key)
        if reply.status_code == 409:
            assert problem(reply) == (409, "idempotency_key_in_flight")
            return ""
        order_id: str = answer(reply, 202)["id"]
        return order_id

    with ThreadPoolExecutor(8) as executor:
        ids = set(executor.map(send, range(24)))
    assert len(ids - {""}) == 1
    assert {order["id"] for order in customer.api.all(ORDERS)} == ids - {""}


def test_a_secret_is_shown_once(shop: Shop) -> None:
    name, key = f"e2e-{uuid.uuid4().hex[:12]}", str(uuid.uuid4())
    body = {"username": name, "email": f"{name}@example.com"}
    first = answer(shop.anyone.post("/api/v1/users", body, key=key), 201)
    again = shop.anyone.post("/api/v1/users", body, key=key)
    assert again.headers[REPLAYED] == "true"
    secret = first.pop("api_key")
    assert secret not in again.text
    assert answer(again, 201) == first


def test_stock_is_adjusted_once(shop: Shop) -> None:
    sku, key = shop.product(on_hand=10), str(uuid.uuid4())
    path, body = f"{PRODUCTS}/{sku}/stock-adjustments", {"delta": 5, "reason": "delivery"}
    first = answer(shop.operator.post(path, body, key=key))
    again = shop.operator.post(path, body, key=key)
    assert again.headers[REPLAYED] == "true"
    assert answer(again) == first
    assert shop.stock(sku)["on_hand"] == 15
    assert problem(shop.operator.post(path, {**body, "delta": 6}, key=key)) == (422, "idempotency_key_reused")


def test_a_refund_is_made_once(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(price=1000): 2})
    shop.ended(placed["id"], "confirmed")
    payment = shop.payment(placed["id"], "captured")
    path, key = f"{PAYMENTS}/{payment['id']}/refunds", str(uuid.uuid4())
    body = {"amount": {"amount": 500, "currency": "usd"}, "reason": "scratched"}
    first = answer(shop.operator.post(path, body, key=key), 201)
    assert answer(shop.operator.post(path, body, key=key), 201) == first
    assert shop.payment(placed["id"], "partially_refunded")["refunded"]["amount"] == 500


def test_repeated_cancellation_with_a_key_returns_the_same_response(shop: Shop, customer: Customer) -> None:
    placed, key = place(customer, {shop.product(on_hand=0): 1}), str(uuid.uuid4())
    first = customer.api.post(f"{ORDERS}/{placed['id']}/cancel", key=key)
    again = customer.api.post(f"{ORDERS}/{placed['id']}/cancel", key=key)
    assert answer(again) == answer(first)
    assert again.headers[REPLAYED] == "true"
