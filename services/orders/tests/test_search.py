"""Search by SKU and time: the found orders, and their pagination."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id, rfc3339, utc_now
from common.tests.sample_service import answer, bearer
from services.orders.search import AFTER_ALL, FIRST_ID, OrderFilter, first_id_at

if TYPE_CHECKING:
    from flask.testing import FlaskClient

ORDERS = "/api/v1/orders"
AS_OPERATOR = bearer(sub="olga", role="operator")


def test_time_bounds_are_exact_to_the_millisecond() -> None:
    before, order_id = utc_now(), new_id()
    assert first_id_at(before) <= order_id < first_id_at(utc_now() + timedelta(milliseconds=1))
    assert first_id_at(datetime(1, 1, 1, tzinfo=UTC)) == FIRST_ID
    assert first_id_at(datetime(9999, 12, 31, tzinfo=UTC)) < AFTER_ALL


def test_a_page_starts_at_the_earlier_of_cursor_and_end_time() -> None:
    moment, cursor = utc_now(), new_id()
    assert OrderFilter().before(None) == AFTER_ALL
    assert OrderFilter(until=moment - timedelta(hours=1)).before(cursor) == first_id_at(moment - timedelta(hours=1))
    assert OrderFilter(until=moment + timedelta(hours=1)).before(cursor) == cursor


@pytest.mark.integration
def test_orders_are_found_by_sku_time_status_and_customer(client: FlaskClient) -> None:
    placed = [_place(client, customer, *skus) for customer, skus in (
        ("ann", ["TEA"]), ("ann", ["TEA", "POT"]), ("ben", ["POT"]), ("ben", ["TEA"]),
    )]  # fmt: skip
    first, second, third, fourth = (order["id"] for order in placed)
    assert _found(client, sku="TEA") == [fourth, second, first]
    assert _found(client, sku="TE") == _found(client, sku="NONE") == []
    assert _found(client, sku="TEA", status="confirmed") == []
    assert _found(client, bearer(sub="ann"), sku="POT") == [second]
    assert _found(client, sku="TEA", starting_after=fourth, limit="1") == [second]
    times = [_just_before(order["created_at"]) for order in placed]
    assert _found(client, since=times[1], until=times[3]) == [third, second]
    assert _found(client, since=times[1], until=times[3], sku="TEA", status="pending") == [second]
    assert _found(client, since=times[1], starting_after=third) == [second]
    assert _found(client, until="1970-01-01T00:00:00Z") == []
    assert _found(client, bearer(sub="ben"), since=times[0]) == [fourth, third]


@pytest.mark.integration
@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-01-01T00:00:00", "until=2026-13-01T00:00:00Z", "sku=%20"]
)
def test_an_invalid_filter_is_rejected(client: FlaskClient, query: str) -> None:
    assert client.get(f"{ORDERS}?{query}", headers=AS_OPERATOR).status_code == 422


def _place(client: FlaskClient, customer: str, *skus: str) -> dict[str, Any]:
    body = {"items": [{"sku": sku, "quantity": 1} for sku in skus], "payment_method": "pm_card_visa"}
    headers = bearer(sub=customer) | {"Idempotency-Key": new_id()}
    made: dict[str, Any] = answer(client.post(ORDERS, json=body, headers=headers))
    time.sleep(0.2)  # so that the next one is later than what `_just_before` allows for
    return made


def _just_before(created_at: str) -> str:
    # The id is made before the time, and a busy processor may do something else in between.
    return rfc3339(datetime.fromisoformat(created_at) - timedelta(milliseconds=150))


def _found(client: FlaskClient, headers: dict[str, str] = AS_OPERATOR, **query: str) -> list[str]:
    reply = client.get(ORDERS, query_string=query, headers=headers)
    assert reply.status_code == 200, reply.text
    return [order["id"] for order in answer(reply)["data"]]
