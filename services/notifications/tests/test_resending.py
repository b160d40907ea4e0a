"""Deliveries of one order's events: an operator sees those to all endpoints, others those to their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.sample_service import answer, bearer
from services.notifications import recording
from services.notifications.tests.builders import CUSTOMER, OPERATOR, OTHER_CUSTOMER, make_endpoint, record, sample

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from pymongo.database import Database

pytestmark = pytest.mark.integration
DELIVERIES = "/api/v1/deliveries"
AS_OPERATOR = bearer(sub=OPERATOR.id, role="operator")


def test_deliveries_of_an_order_are_visible_to_their_endpoints_owners(
    client: FlaskClient, store: Database[dict[str, Any]]
) -> None:
    url = "http://127.0.0.1:9/hook"
    own, _ = make_endpoint(store, url, "order.placed.v1", owner=CUSTOMER)
    others, _ = make_endpoint(store, url, "order.placed.v1")
    event = sample("order.placed.v1")
    recording.note_owners(store, {event.orderid or "": CUSTOMER.id})
    record(store, event)
    place = f"{DELIVERIES}?order_id={event.orderid}"

    def endpoints(headers: dict[str, str], query: str = "") -> list[str]:
        return [each["endpoint_id"] for each in answer(client.get(f"{place}{query}", headers=headers))["data"]]

    assert sorted(endpoints(AS_OPERATOR)) == sorted([own, others])
    assert endpoints(bearer(sub=CUSTOMER.id)) == [own]
    assert endpoints(bearer(sub=OTHER_CUSTOMER.id)) == []
    first = answer(client.get(f"{place}&limit=1", headers=AS_OPERATOR))
    assert first["has_more"] is True
    after = f"&starting_after={first['data'][0]['id']}"
    assert endpoints(AS_OPERATOR, after) == [({own, others} - {first["data"][0]["endpoint_id"]}).pop()]
    assert client.get(f"{place}{after}", headers=bearer(sub=OTHER_CUSTOMER.id)).status_code == 422


def test_the_order_is_required(client: FlaskClient) -> None:
    for query in ("", "?order_id=x", f"?order_id={new_id()}&starting_after={new_id()}"):
        assert client.get(f"{DELIVERIES}{query}", headers=AS_OPERATOR).status_code == 422
    assert answer(client.get(f"{DELIVERIES}?order_id={new_id()}", headers=AS_OPERATOR))["data"] == []
