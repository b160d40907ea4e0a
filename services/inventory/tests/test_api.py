from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.sample_service import bearer
from services.inventory.tests import warehouse
from services.inventory.tests.calls import KETTLE, PRODUCTS, answer, get, patch, post, problem

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
SHOWN = {**KETTLE, "reserved": 0, "available": 10, "sold": 0, "version": 2}


def test_a_new_product_is_visible_to_all(client: FlaskClient) -> None:
    made = post(client, "", KETTLE)
    assert answer(made, 201) == SHOWN
    assert made.headers["Location"] == f"{PRODUCTS}/KETTLE-RED"
    assert answer(get(client, "/KETTLE-RED"), 200) == SHOWN
    assert answer(get(client), 200) == {"object": "list", "data": [SHOWN], "has_more": False, "url": PRODUCTS}


def test_events_carry_the_request_id(client: FlaskClient, engine: Engine) -> None:
    post(client, "", KETTLE, Request_Id="from-the-shop")
    assert [event.correlationid for event in warehouse.published(engine)] == ["from-the-shop"] * 2


def test_reserved_and_sold_quantities_are_shown(client: FlaskClient, engine: Engine) -> None:
    post(client, "", KETTLE)
    bought = warehouse.new_order()
    warehouse.place(engine, bought, ("KETTLE-RED", 3))
    warehouse.confirm(engine, bought)
    warehouse.place(engine, warehouse.new_order(), ("KETTLE-RED", 2))
    shown = answer(get(client, "/KETTLE-RED"), 200)
    assert shown == SHOWN | {"on_hand": 7, "reserved": 2, "available": 5, "sold": 3}


def test_a_taken_sku_is_a_conflict(client: FlaskClient) -> None:
    post(client, "", KETTLE)
    assert problem(post(client, "", KETTLE)) == (409, "sku_taken")


def test_a_product_is_changed(client: FlaskClient) -> None:
    post(client, "", KETTLE)
    assert answer(patch(client, "KETTLE-RED", {"name": "Kettle"}), 200) == SHOWN | {"name": "Kettle", "version": 3}
    price = {"amount": 1, "currency": "eur"}
    assert answer(patch(client, "KETTLE-RED", {"price": price}), 200)["price"] == price
    assert answer(patch(client, "KETTLE-RED", {}), 200)["version"] == 4


def test_stock_is_adjusted(client: FlaskClient, engine: Engine) -> None:
    post(client, "", KETTLE)
    adjusted = post(client, "/KETTLE-RED/stock-adjustments", {"delta": -4, "reason": "broken"})
    assert answer(adjusted, 200) == SHOWN | {"on_hand": 6, "available": 6, "version": 3}
    warehouse.place(engine, warehouse.new_order(), ("KETTLE-RED", 6))
    below = post(client, "/KETTLE-RED/stock-adjustments", {"delta": -1, "reason": "stolen"})
    assert problem(below) == (409, "below_reserved")
    above = post(client, "/KETTLE-RED/stock-adjustments", {"delta": 1_000_000_000, "reason": "delivery"})
    assert problem(above) == (409, "stock_too_large")


def test_the_list_is_paginated(client: FlaskClient) -> None:
    skus = [f"SKU-{number}" for number in range(5)]
    for sku in reversed(skus):
        post(client, "", KETTLE | {"sku": sku})
    seen, query = [], "?limit=2"
    for _ in range(3):
        page = answer(get(client, query), 200)
        seen.append([product["sku"] for product in page["data"]])
        query = f"?limit=2&starting_after={seen[-1][-1]}"
        assert page["has_more"] is (len(seen) < 3)
    assert seen == [skus[:2], skus[2:4], skus[4:]]


def test_a_repeated_idempotency_key_returns_the_first_reply(client: FlaskClient, engine: Engine) -> None:
    first = post(client, "", KETTLE, Idempotency_Key="k-1")
    again = post(client, "", KETTLE, Idempotency_Key='"k-1"')
    assert answer(first, 201) == answer(again, 201)
    assert (again.headers["Idempotent-Replayed"], again.headers["Location"]) == ("true", first.headers["Location"])
    assert problem(post(client, "", KETTLE | {"on_hand": 1}, Idempotency_Key="k-1")) == (422, "idempotency_key_reused")

    for _ in range(2):
        adjusted = post(client, "/KETTLE-RED/stock-adjustments", {"delta": 1, "reason": "d"}, Idempotency_Key="k-2")
        assert answer(adjusted, 200)["on_hand"] == 11
        assert answer(patch(client, "KETTLE-RED", {"name": "New"}, Idempotency_Key="k-3"), 200)["version"] == 4
    assert len(warehouse.published(engine)) == 4


def test_a_rejected_request_does_not_consume_its_idempotency_key(client: FlaskClient) -> None:
    adjustment = {"delta": 1, "reason": "delivery"}
    path = "/KETTLE-RED/stock-adjustments"
    assert problem(post(client, path, adjustment, Idempotency_Key="k")) == (404, "not_found")
    post(client, "", KETTLE)
    assert answer(post(client, path, adjustment, Idempotency_Key="k"), 200)["on_hand"] == 11


def test_only_operators_may_change_products(client: FlaskClient, engine: Engine) -> None:
    for method, path, body in (
        ("POST", "", KETTLE),
        ("PATCH", "/KETTLE-RED", {"name": "x"}),
        ("POST", "/KETTLE-RED/stock-adjustments", {"delta": 1, "reason": "x"}),
    ):
        url = PRODUCTS + path
        assert problem(client.open(url, method=method, json=body, headers=bearer())) == (403, "forbidden")
        assert problem(client.open(url, method=method, json=body)) == (401, "unauthenticated")
    assert problem(client.get(PRODUCTS)) == (401, "unauthenticated")
    assert problem(client.get(f"{PRODUCTS}/KETTLE-RED")) == (401, "unauthenticated")
    assert warehouse.published(engine) == []


def test_it_serves_its_openapi_document_and_readiness(client: FlaskClient) -> None:
    document = answer(client.get("/openapi.json"), 200)
    assert document["openapi"] == "3.1.0"
    assert {path: sorted(set(item) - {"parameters"}) for path, item in document["paths"].items()} == {
        PRODUCTS: ["get", "post"],
        f"{PRODUCTS}/{{sku}}": ["get", "patch"],
        f"{PRODUCTS}/{{sku}}/stock-adjustments": ["post"],
    }
    assert answer(client.get("/readyz"), 200)["checks"] == ["postgres"]
