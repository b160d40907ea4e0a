"""Each invalid request gets a specific 4xx problem document and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.inventory.tests import warehouse
from services.inventory.tests.calls import KETTLE, PRODUCTS, answer, get, operator, patch, post, problem

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
ADJUSTMENTS = "/KETTLE-RED/stock-adjustments"


def price(**changes: Any) -> dict[str, Any]:
    return {"price": {"amount": 1, "currency": "usd"} | changes}


@pytest.fixture
def kettle(client: FlaskClient, engine: Engine) -> FlaskClient:
    """A client of a shop with one product; checks afterwards that the product is unchanged."""
    post(client, "", KETTLE)
    return client


def unchanged(client: FlaskClient, engine: Engine) -> bool:
    shown = answer(get(client), 200)["data"]
    return [(product["sku"], product["version"]) for product in shown] == [("KETTLE-RED", 2)] and len(
        warehouse.published(engine)
    ) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sku": ""}, "sku"),
        ({"sku": "x" * 65}, "sku"),
        ({"sku": "-x"}, "sku"),
        ({"sku": "a b"}, "sku"),
        ({"sku": "a\n"}, "sku"),
        ({"sku": "ключ"}, "sku"),
        ({"sku": 7}, "sku"),
        ({"sku": None}, "sku"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": ["x"]}, "name"),
        ({"price": 1999}, "price"),
        (price(amount=0), "price.amount"),
        (price(amount=-1), "price.amount"),
        (price(amount=100_000_000), "price.amount"),
        (price(amount=1.5), "price.amount"),
        (price(amount="1"), "price.amount"),
        (price(amount=True), "price.amount"),
        (price(currency="xyz"), "price.currency"),
        (price(currency="USD"), "price.currency"),
        (price(currency=None), "price.currency"),
        (price(tax=1), "price.tax"),
        ({"on_hand": -1}, "on_hand"),
        ({"on_hand": 1_000_000_001}, "on_hand"),
        ({"on_hand": 1.5}, "on_hand"),
        ({"on_hand": 2**63 - 1}, "on_hand"),
        ({"on_hand": None}, "on_hand"),
        ({"sold": 1}, "sold"),
        ({"reserved": 0}, "reserved"),
    ],
)
def test_an_invalid_product_is_rejected(
    kettle: FlaskClient, engine: Engine, change: dict[str, Any], field: str
) -> None:
    body = KETTLE | {"sku": "OTHER"} | change
    reply = post(kettle, "", body)
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.get_json()["errors"]) == [field]
    assert unchanged(kettle, engine)


@pytest.mark.parametrize("field", sorted(KETTLE))
def test_an_incomplete_product_is_rejected(kettle: FlaskClient, field: str) -> None:
    reply = post(kettle, "", {name: value for name, value in KETTLE.items() if name != field})
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.get_json()["errors"]) == [field]


@pytest.mark.parametrize("name", ["x", "x" * 200, "Käse ☕ 鍋 🫖", " "])
@pytest.mark.parametrize("sku", ["a", "0", "A.b_c-9", "x" * 64])
def test_boundary_values_are_accepted(kettle: FlaskClient, name: str, sku: str) -> None:
    command = KETTLE | {"sku": sku, "name": name, "on_hand": 1_000_000_000, **price(amount=99_999_999)}
    assert answer(post(kettle, "", command), 201) == answer(get(kettle, f"/{sku}"), 200)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"price": None}, "price"),
        (price(amount=0), "price.amount"),
        ({"price": {"amount": 1}}, "price.currency"),
        ({"sku": "OTHER"}, "sku"),
        ({"on_hand": 5}, "on_hand"),
        ([], "body"),
    ],
)
def test_an_invalid_change_is_rejected(kettle: FlaskClient, engine: Engine, body: Any, field: str) -> None:
    reply = patch(kettle, "KETTLE-RED", body)
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.get_json()["errors"]) == [field]
    assert unchanged(kettle, engine)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"delta": 0}, "delta"),
        ({"delta": 1.5}, "delta"),
        ({"delta": "1"}, "delta"),
        ({"delta": None}, "delta"),
        ({"delta": -1_000_000_001}, "delta"),
        ({"delta": 1_000_000_001}, "delta"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": None}, "reason"),
        ({"on_hand": 1}, "on_hand"),
    ],
)
def test_an_invalid_adjustment_is_rejected(
    kettle: FlaskClient, engine: Engine, change: dict[str, Any], field: str
) -> None:
    reply = post(kettle, ADJUSTMENTS, {"delta": 1, "reason": "delivery"} | change)
    assert problem(reply) == (422, "invalid_request")
    assert list(reply.get_json()["errors"]) == [field]
    assert unchanged(kettle, engine)


@pytest.mark.parametrize(
    ("body", "content_type", "refusal"),
    [
        (b"{", "application/json", (400, "malformed_json")),
        (b"", "application/json", (400, "malformed_json")),
        (b'{"name": "\xff"}', "application/json", (400, "malformed_json")),
        (b'{"name": "a\\u0000"}', "application/json", (400, "malformed_json")),
        (b'{"name": "\\ud800"}', "application/json", (400, "malformed_json")),
        (b'{"name": NaN}', "application/json", (400, "malformed_json")),
        (b'{"on_hand": 1' + b"0" * 30 + b"}", "application/json", (400, "malformed_json")),
        (b'{"name": "a", "name": "b"}', "application/json", (400, "malformed_json")),
        (b"[" * 10_000, "application/json", (400, "malformed_json")),
        (b"null", "application/json", (422, "invalid_request")),
        (b"name=a", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b"{}", "text/plain", (415, "unsupported_media_type")),
        (b"{}", None, (415, "unsupported_media_type")),
        (b'"' + b"x" * 100_000 + b'"', "application/json", (413, "body_too_large")),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PATCH", "/KETTLE-RED"), ("POST", ADJUSTMENTS)])
def test_unreadable_bodies_are_rejected(  # noqa: PLR0917 - a table of cases
    kettle: FlaskClient,
    engine: Engine,
    method: str,
    path: str,
    body: bytes,
    content_type: str | None,
    refusal: tuple[int, str],
) -> None:
    reply = kettle.open(PRODUCTS + path, method=method, data=body, content_type=content_type, headers=operator())
    assert problem(reply) == refusal
    assert unchanged(kettle, engine)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1.5",
        "limit=",
        "starting_after=",
        "starting_after=a%20b",
        "starting_after=-",
        "starting_after=" + "x" * 65,
        "starting_after=%27%3B--",
        "ending_before=a",
    ],
)
def test_an_invalid_query_is_rejected(kettle: FlaskClient, query: str) -> None:
    assert problem(get(kettle, f"?{query}")) == (422, "invalid_request")


def test_a_malformed_query_or_path_is_rejected(kettle: FlaskClient) -> None:
    for path in ("?starting_after=%00", "?starting_after=%ff", "/a%00b"):
        assert problem(get(kettle, path)) == (400, "malformed_request")


@pytest.mark.parametrize("sku", ["NO-SUCH", "kettle-red", "x" * 2000, "a b", "%27%20OR%201=1", "🫖"])
def test_an_unknown_product_is_not_found(kettle: FlaskClient, sku: str) -> None:
    assert problem(get(kettle, f"/{sku}")) == (404, "not_found")
    assert problem(patch(kettle, sku, {"name": "x"})) == (404, "not_found")
    assert problem(post(kettle, f"/{sku}/stock-adjustments", {"delta": 1, "reason": "x"})) == (404, "not_found")


@pytest.mark.parametrize("key", ["", "x" * 256, "x" * 10_000, "ключ".encode().decode("latin-1"), '"open', "a\tb"])
def test_an_invalid_idempotency_key_is_rejected(kettle: FlaskClient, engine: Engine, key: str) -> None:
    reply = post(kettle, ADJUSTMENTS, {"delta": 1, "reason": "x"}, Idempotency_Key=key)
    assert problem(reply) == (400, "invalid_idempotency_key")
    assert unchanged(kettle, engine)


def test_unsupported_methods_are_rejected(kettle: FlaskClient) -> None:
    assert problem(kettle.delete(f"{PRODUCTS}/KETTLE-RED", headers=operator())) == (405, "method_not_allowed")
    assert problem(kettle.put(PRODUCTS, json=KETTLE, headers=operator())) == (405, "method_not_allowed")
