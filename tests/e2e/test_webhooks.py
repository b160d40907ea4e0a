"""Webhooks through the whole system: a customer gets their own orders' events, an operator all, each verified."""

import json
from collections.abc import Iterator

import pytest

from common.tests.webhook_receiver import Receiver, receiving
from tests.e2e.api import Api, answer, problem
from tests.e2e.shop import CONFIRMED, Customer, Json, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ENDPOINTS = "/api/v1/webhook-endpoints"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def subscribe(api: Api, url: str) -> Json:
    made: Json = answer(api.post(ENDPOINTS, {"url": url, "event_types": list(CONFIRMED)}), 201)
    eventually(
        lambda: answer(api.get(f"{ENDPOINTS}/{made['id']}"))["subscriptions"],
        lambda subscriptions: all(each["since"] for each in subscriptions),
    )
    return made


def test_each_subscriber_gets_only_permitted_events(shop: Shop, customer: Customer, receiver: Receiver) -> None:
    other_customer = shop.customer()
    owners = {"/operator": shop.operator, "/own": customer.api, "/foreign": other_customer.api}
    made = {path: subscribe(api, receiver.url + path) for path, api in owners.items()}
    sku = shop.product()
    order = place(customer, {sku: 1})
    shop.ended(order["id"], "confirmed")
    for path in ("/operator", "/own"):
        eventually(
            lambda path=path: {  # type: ignore[misc]  # the default argument is this round's path
                payload["type"]
                for payload in (each.verified(made[path]["secret"]) for each in receiver.at(path))
                if payload["data"].get("order_id") == order["id"]
            },
            lambda types: types == set(CONFIRMED),
        )
    assert receiver.at("/foreign") == []
    assert not any(b"payment_method" in each.body or b"@example.com" in each.body for each in receiver.requests)
    deliveries = f"{ENDPOINTS}/{made['/own']['id']}/deliveries"
    eventually(
        lambda: answer(customer.api.get(deliveries, order_id=order["id"]))["data"],
        lambda data: [each["status"] for each in data] == ["delivered"] * len(CONFIRMED),
    )
    assert problem(other_customer.api.get(deliveries)) == (404, "not_found")
    for path, api in owners.items():
        assert api.delete(f"{ENDPOINTS}/{made[path]['id']}").status_code == 204


def test_a_test_event_is_delivered_and_can_be_resent(shop: Shop, receiver: Receiver) -> None:
    made = subscribe(shop.operator, f"{receiver.url}/test")
    place_of_it = f"{ENDPOINTS}/{made['id']}"
    delivery = answer(shop.operator.post(f"{place_of_it}/test"), 202)
    receiver.wait_for(1, "/test", 120)
    eventually(
        lambda: answer(shop.operator.get(f"{place_of_it}/deliveries"))["data"][0],
        lambda shown: shown["status"] == "delivered",
    )
    answer(shop.operator.post(f"/api/v1/deliveries/{delivery['id']}/resend"), 202)
    requests = receiver.wait_for(2, "/test", 120)
    assert {each.headers["webhook-id"] for each in requests} == {delivery["event_id"]}
    assert json.loads(requests[0].body)["type"] == "webhook.test.v1"
    assert shop.operator.delete(place_of_it).status_code == 204
