"""The routes on a real MongoDB, as customers and operators see them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.sample_service import answer, bearer
from common.tests.tcp_proxy import Link
from services.archive.tests.event_samples import CUSTOMER, at, file, happening, placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

pytestmark = pytest.mark.integration
MINE = bearer(sub=CUSTOMER)
OPERATOR = bearer(role="operator")


def timeline(order_id: str) -> str:
    return f"/api/v1/orders/{order_id}/timeline"


def test_a_customer_reads_the_timeline_of_an_order(client: FlaskClient, archive: Database[dict[str, Any]]) -> None:
    order_id = new_id()
    first = placed(order_id, 1)
    second = happening(
        type="stock.reserved.v1",
        source="/services/inventory",
        orderid=order_id,
        time=at(1.5),
        data={"items": [{"sku": "TEA", "quantity": 2}]},
    )
    file(archive, second, first)
    reply = client.get(timeline(order_id), headers=MINE)
    assert reply.status_code == 200
    shown = answer(reply)
    assert {name: shown[name] for name in ("object", "has_more", "url")} == {
        "object": "list",
        "has_more": False,
        "url": timeline(order_id),
    }
    assert shown["data"] == [
        {
            "id": first.id,
            "type": "order.placed.v1",
            "source": "/services/orders",
            "sequence": 1,
            "time": at(1),
            "delay_seconds": 0.0,
            "summary": "Order placed: 2 x TEA for 9.00 USD",
            "data": first.data,
        },
        {
            "id": second.id,
            "type": "stock.reserved.v1",
            "source": "/services/inventory",
            "sequence": 1,
            "time": at(1.5),
            "delay_seconds": 0.5,
            "summary": "Stock reserved: 2 x TEA",
            "data": {"items": [{"sku": "TEA", "quantity": 2}]},
        },
    ]


def test_a_timeline_is_visible_to_its_customer_and_to_operators(
    client: FlaskClient, archive: Database[dict[str, Any]]
) -> None:
    order_id = new_id()
    file(archive, placed(order_id))
    assert client.get(timeline(order_id), headers=OPERATOR).status_code == 200
    assert client.get(timeline(order_id), headers=MINE).status_code == 200
    other_customer = client.get(timeline(order_id), headers=bearer(sub="somebody-else"))
    assert (other_customer.status_code, answer(other_customer)["code"]) == (404, "not_found")
    assert client.get(timeline(order_id)).status_code == 401


@pytest.mark.parametrize("order_id", ["nonsense", "0", "$where", "x" * 500, new_id().upper(), new_id()])
def test_an_unknown_order_is_not_found(client: FlaskClient, order_id: str) -> None:
    assert client.get(timeline(order_id), headers=OPERATOR).status_code == 404


def test_an_operator_lists_events(client: FlaskClient, archive: Database[dict[str, Any]]) -> None:
    event = happening(time="2026-11-02T12:00:00+02:00", orderid="order-1", data={"a": 2**70})
    file(archive, event, happening(time=at(1)))
    shown = answer(client.get("/api/v1/events?limit=1&since=2026-11-02T09:59:59.9Z", headers=OPERATOR))
    assert shown["has_more"] is True
    later = answer(
        client.get(f"/api/v1/events?starting_after={shown['data'][0]['id']}&type={event.type}", headers=OPERATOR)
    )
    assert (later["has_more"], later["url"]) == (False, "/api/v1/events")
    [found] = later["data"]
    assert found.pop("received_at").endswith("Z")
    assert found == {
        "id": event.id,
        "source": "/services/orders",
        "type": "order.confirmed.v1",
        "subject": "thing-1",
        "sequence": 1,
        "time": "2026-11-02T12:00:00+02:00",
        "correlationid": "request-1",
        "causationid": None,
        "orderid": "order-1",
        "traceparent": None,
        "data": {"a": 2**70},
    }


def test_only_operators_may_list_events(client: FlaskClient) -> None:
    assert client.get("/api/v1/events", headers=MINE).status_code == 403
    assert client.get("/api/v1/events").status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=ten",
        "starting_after=nonsense",
        f"starting_after={new_id()}",
        "since=yesterday",
        "since=2026-11-02",
        "since=2026-11-02T10:00:00",
        "since=2026-11-02T10:00:00+02:00",  # a plus that is not encoded is a space
        "since=2026-13-02T10:00:00Z",
        "since=0001-01-01T00:00:00%2B02:00",
        "type=",
        f"subject={'x' * 600}",
        "colour=red",
    ],
)
def test_an_invalid_query_is_rejected(client: FlaskClient, query: str) -> None:
    reply = client.get(f"/api/v1/events?{query}", headers=OPERATOR)
    assert (reply.status_code, answer(reply)["code"]) == (422, "invalid_request")
    assert list(answer(reply)["errors"]) == [query.partition("=")[0]]


def wait_until_it_answers(client: FlaskClient, path: str = "/api/v1/events") -> None:
    """MongoDB may also take longer than the short time-out while nothing is wrong with it."""
    deadline = time.monotonic() + 60
    while client.get(path, headers=OPERATOR).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_it_returns_503_in_time_while_mongodb_is_down_and_recovers(
    make_app: Callable[..., Flask], document_store: str, fault: str
) -> None:
    with Link(document_store) as link:
        client = make_app(link.url, mongodb_timeout_seconds=1).test_client()
        wait_until_it_answers(client, "/readyz")
        getattr(link, fault)()
        started = time.monotonic()
        for path in ("/api/v1/events", timeline(new_id())):
            reply = client.get(path, headers=OPERATOR)
            assert (reply.status_code, answer(reply)["code"]) == (503, "unavailable")
            assert 1 <= int(reply.headers["Retry-After"]) <= 3
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        assert time.monotonic() - started < 60  # the driver's own time-out is 30 s, three times
        link.restore()
        wait_until_it_answers(client)
        wait_until_it_answers(client, "/readyz")


def test_an_open_circuit_breaker_skips_queries(make_app: Callable[..., Flask], document_store: str) -> None:
    with Link(document_store) as link:
        client = make_app(link.url, mongodb_timeout_seconds=1).test_client()
        link.cut()
        codes = [answer(client.get("/api/v1/events", headers=OPERATOR))["code"] for _ in range(8)]
        assert codes[0] == "unavailable"
        assert "circuit_open" in codes
        assert 'holdfast_breaker_state{breaker="mongodb"} 2.0' in client.get("/metrics").text
        link.restore()
        wait_until_it_answers(client)
        assert 'holdfast_breaker_state{breaker="mongodb"} 0.0' in client.get("/metrics").text
