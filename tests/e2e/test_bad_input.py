"""Invalid input: each case gets a specific 4xx problem document and creates no order."""

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.api import Api, as_written, problem
from tests.e2e.shop import ORDERS, VISA, Customer, Shop, order_of, place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
JSON_TYPE = {"Content-Type": "application/json"}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def sku(opened: Shop) -> str:
    """The product of the invalid orders."""
    return opened.product(on_hand=1000)


@pytest.fixture(scope="module")
def suspect(opened: Shop) -> Customer:
    return opened.customer()


@pytest.fixture(autouse=True)
def nothing_was_ordered(shop: Shop, sku: str, suspect: Customer) -> Iterator[None]:
    """Checks after each test that there is no order and that no stock has moved."""
    yield
    assert suspect.api.all(ORDERS) == []
    stock = shop.stock(sku)
    assert (stock["on_hand"], stock["reserved"], stock["sold"]) == (1000, 0, 0)


def send(suspect: Customer, body: bytes, headers: dict[str, Any] | None = None) -> tuple[int, str]:
    """POST these bytes as an order; returns status and code."""
    given = {**JSON_TYPE, "Idempotency-Key": str(uuid.uuid4()), **(headers or {})}
    return problem(suspect.api.send("POST", ORDERS, data=body, headers=given))


def valid(sku: str) -> bytes:
    return json.dumps(order_of({sku: 1})).encode()


@pytest.mark.parametrize("quantity", [0, -1, 10**9, 1.5, "1", True, None, [1]])
def test_invalid_quantities_are_rejected(suspect: Customer, sku: str, quantity: Any) -> None:
    body = {"items": [{"sku": sku, "quantity": quantity}], "payment_method": VISA}
    reply = suspect.api.post(ORDERS, body, key=str(uuid.uuid4()))
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.json()["errors"]) == ["items.0.quantity"]


def test_a_quantity_beyond_64_bits_is_rejected(suspect: Customer, sku: str) -> None:
    body = {"items": [{"sku": sku, "quantity": 2**70}], "payment_method": VISA}
    assert send(suspect, json.dumps(body).encode()) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"items": None}, "items"),
        ({"items": "TEA-1"}, "items"),
        ({"items": [[]]}, "items.0"),
        ({"items": [{}]}, "items.0.quantity"),
        ({"items": [{"sku": "A B", "quantity": 1}]}, "items.0.sku"),
        ({"items": [{"sku": "x" * 65, "quantity": 1}]}, "items.0.sku"),
        ({"items": [{"sku": "A", "quantity": 1, "unit_price": 1}]}, "items.0.unit_price"),
        ({"payment_method": ""}, "payment_method"),
        ({"payment_method": "pm card"}, "payment_method"),
        ({"payment_method": 7}, "payment_method"),
        ({"total": {"amount": 1, "currency": "usd"}}, "total"),
        ({"customer_id": "somebody else"}, "customer_id"),
        ({"status": "confirmed"}, "status"),
    ],
)
def test_invalid_fields_are_rejected(suspect: Customer, sku: str, change: dict[str, Any], field: str) -> None:
    reply = suspect.api.post(ORDERS, order_of({sku: 1}) | change, key=str(uuid.uuid4()))
    assert problem(reply) == (422, "invalid_request")
    assert field in reply.json()["errors"]


def test_a_duplicate_sku_is_rejected(suspect: Customer, sku: str) -> None:
    body = order_of({sku: 1})
    reply = suspect.api.post(ORDERS, body | {"items": body["items"] * 2}, key=str(uuid.uuid4()))
    assert problem(reply) == (422, "invalid_request")
    assert sku in reply.json()["errors"]["items"][0]


def test_an_unknown_sku_is_rejected_with_the_whole_order(suspect: Customer, sku: str) -> None:
    reply = suspect.api.post(ORDERS, order_of({sku: 1, "NO-SUCH": 1}), key=str(uuid.uuid4()))
    assert problem(reply) == (422, "unknown_sku")
    assert reply.json()["errors"]["items"] == ["unknown sku NO-SUCH"]


def test_two_currencies_in_one_order_are_rejected(shop: Shop, suspect: Customer, sku: str) -> None:
    reply = suspect.api.post(ORDERS, order_of({sku: 1, shop.product(currency="eur"): 1}), key=str(uuid.uuid4()))
    assert problem(reply) == (422, "mixed_currencies")


@pytest.mark.parametrize("currency", ["xyz", "USD", "", None, 840])
def test_a_wrong_currency_is_rejected(shop: Shop, currency: Any) -> None:
    body = {"sku": "NEVER", "name": "Never", "price": {"amount": 1, "currency": currency}, "on_hand": 1}
    reply = shop.operator.post("/api/v1/products", body)
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.json()["errors"]) == ["price.currency"]


def test_a_total_above_the_maximum_charge_is_rejected(shop: Shop, suspect: Customer) -> None:
    dear = shop.product(price=99_999_999)
    reply = suspect.api.post(ORDERS, order_of({dear: 2}), key=str(uuid.uuid4()))
    assert problem(reply) == (422, "total_too_large")


def test_ten_thousand_items_are_rejected(suspect: Customer) -> None:
    small = json.dumps({"items": [{}] * 10_000, "payment_method": VISA}, separators=(",", ":")).encode()
    assert send(suspect, small) == (422, "invalid_request")
    items = [{"sku": f"SKU-{number}", "quantity": 1} for number in range(10_000)]
    assert send(suspect, json.dumps({"items": items, "payment_method": VISA}).encode()) == (413, "body_too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_fifty_megabytes_is_rejected(suspect: Customer, chunked: bool) -> None:
    pieces = (b"x" * MEGABYTE for _ in range(50))
    body = pieces if chunked else b"".join(pieces)
    headers = {**JSON_TYPE, "Idempotency-Key": str(uuid.uuid4())}
    reply = suspect.api.send("POST", ORDERS, data=body, headers=headers)
    assert problem(reply) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"items": [}',
        b"{'items': []}",
        b'{"items": [], "items": []}',
        b'{"payment_method": NaN}',
        b"\xff\xfe{}",
        b'{"payment_method": "\xc3\x28"}',
        b'{"payment_method": "\xed\xa0\x80"}',
        b'{"payment_method": "\\ud800"}',
        b'{"payment_method": "pm\\u0000card"}',
        b'{"payment_method": "pm\x00card"}',
        b"\x00",
        b"[" * 5000,
    ],
)
def test_malformed_json_is_rejected(suspect: Customer, body: bytes) -> None:
    assert send(suspect, body) == (400, "malformed_json")


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"order"', b"{}"])
def test_json_that_is_no_order_is_rejected(suspect: Customer, body: bytes) -> None:
    assert send(suspect, body) == (422, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "", "json"]
)
def test_other_content_types_are_rejected(suspect: Customer, sku: str, content_type: str) -> None:
    assert send(suspect, valid(sku), {"Content-Type": content_type}) == (415, "unsupported_media_type")


def test_a_body_without_a_content_type_is_rejected(suspect: Customer, sku: str) -> None:
    assert send(suspect, valid(sku), {"Content-Type": None}) == (415, "unsupported_media_type")


def test_a_compressed_body_is_rejected(suspect: Customer, sku: str) -> None:
    assert send(suspect, valid(sku), {"Content-Encoding": "gzip"}) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("k" * 10_000, 400, "invalid_idempotency_key"),
        ("k" * 256, 400, "invalid_idempotency_key"),
        ("k" * 20_000, 431, "header_too_large"),
        ("", 400, "invalid_idempotency_key"),
        ('""', 400, "invalid_idempotency_key"),
        ('"half', 400, "invalid_idempotency_key"),
        ("clé".encode(), 400, "invalid_idempotency_key"),
        (b"\xff", 400, "invalid_idempotency_key"),
    ],
    ids=["10,000", "256", "20,000", "empty", "empty quoted", "half quoted", "accent", "no text"],
)
def test_invalid_idempotency_keys_are_rejected(suspect: Customer, sku: str, key: Any, status: int, code: str) -> None:
    assert send(suspect, valid(sku), {"Idempotency-Key": key}) == (status, code)


@pytest.mark.parametrize("path", ["/api/v1/orders", "/api/v1/payments", "/api/v1/api-keys", "/api/v1/events"])
@pytest.mark.parametrize(
    "query",
    [
        {"starting_after": "nonsense"},
        {"starting_after": ""},
        {"starting_after": "x" * 3000},
        {"starting_after": "01A203A4-F134-7138-9E1E-30F2160E56E4"},
        {"starting_after": "' OR 1=1 --"},
        {"starting_after": "ключ"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "1.5"},
        {"limit": "ten"},
        {"limit": "9" * 40},
        {"page": "2"},
    ],
    ids=lambda query: "=".join(map(str, *query.items()))[:30],
)
def test_invalid_cursors_are_rejected(shop: Shop, path: str, query: dict[str, str]) -> None:
    reply = shop.operator.get(path, **query)
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.json()["errors"]) == list(query)


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/orders?starting_after=%00",
        "/api/v1/orders?starting_after=%ff",
        "/api/v1/products/%00",
        "/api/v1/products/%ff",
        "/api/v1/products/%C3%28",
        "/api/v1/orders/%00/timeline",
        "/api/v1/%zz",
        "/api/v1/orders?a=%u0000",
    ],
)
def test_malformed_paths_and_queries_are_rejected(shop: Shop, target: str) -> None:
    headers = {"Authorization": f"Bearer {shop.operator_token}"}
    status, given, body = as_written(shop.url, "GET", target, headers)
    document = json.loads(body)
    assert given["Content-Type"] == "application/problem+json"
    assert document["status"] == status
    assert document["request_id"] == given["Request-Id"]
    assert (status, document["code"]) in {
        (400, "malformed_request"), (404, "not_found"), (422, "invalid_request"),
    }  # fmt: skip


def test_a_too_long_url_is_rejected(shop: Shop) -> None:
    assert problem(shop.operator.get(f"/api/v1/orders/{'x' * 9000}")) == (414, "uri_too_long")


@pytest.mark.parametrize("order_id", ["nonsense", "1", "00000000-0000-7000-8000-000000000000", "../users/me", "%2e%2e"])
def test_unknown_order_ids_are_404(shop: Shop, order_id: str) -> None:
    headers = {"Authorization": f"Bearer {shop.operator_token}"}
    for method, path in (("GET", ""), ("POST", "/cancel"), ("GET", "/timeline")):
        status, _, body = as_written(shop.url, method, f"{ORDERS}/{order_id}{path}", headers)
        assert (status, json.loads(body)["code"]) == (404, "not_found"), path


def test_another_customers_order_is_404(shop: Shop, suspect: Customer, sku: str) -> None:
    order = place(shop.customer(), {shop.product(): 1})
    shop.ended(order["id"], "confirmed")
    payment = shop.payment(order["id"], "captured")
    for path in (f"{ORDERS}/{order['id']}", f"{ORDERS}/{order['id']}/timeline", f"/api/v1/payments/{payment['id']}"):
        assert problem(suspect.api.get(path)) == (404, "not_found")
    assert problem(suspect.api.post(f"{ORDERS}/{order['id']}/cancel")) == (404, "not_found")
    assert suspect.api.all("/api/v1/payments", order_id=order["id"]) == []
    assert shop.order(order["id"])["status"] == "confirmed"


@pytest.mark.parametrize(
    "body",
    [
        {"username": "johndoe2"},
        {"username": "", "email": "a@example.com"},
        {"username": "a b", "email": "a@example.com"},
        {"username": "x" * 51, "email": "a@example.com"},
        {"username": "johndoe2", "email": "nonsense"},
        {"username": "johndoe2", "email": "a@example.com", "password": "short"},
        {"username": "johndoe2", "email": "a@example.com", "role": "operator"},
        {"username": ["johndoe2"], "email": "a@example.com"},
    ],
)
def test_invalid_users_are_rejected(shop: Shop, body: dict[str, Any]) -> None:
    assert problem(shop.anyone.post("/api/v1/users", body)) == (422, "invalid_request")


def test_a_request_without_a_token_is_rejected(shop: Shop, sku: str) -> None:
    reply = shop.anyone.post(ORDERS, order_of({sku: 1}), key=str(uuid.uuid4()))
    assert problem(reply) == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_altered_token_is_rejected(suspect: Customer, sku: str, part: int) -> None:
    parts = suspect.token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    raw[len(raw) // 2] ^= 1
    parts[part] = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    reply = Api(suspect.api.url, ".".join(parts)).post(ORDERS, order_of({sku: 1}), key=str(uuid.uuid4()))
    assert problem(reply) == (401, "invalid_token")
