"""The routes of webhooks: access of owners and others, and specific errors for invalid input.

Also tests `rendering.py`, `resending.py`, `addresses.py`, `resources.py`.
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from common.tests.sample_service import answer, bearer
from services.notifications.tests.builders import CUSTOMER, OPERATOR, OTHER_CUSTOMER, deliveries_of, record, sample

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
ENDPOINTS = "/api/v1/webhook-endpoints"
BODY = {"url": "http://127.0.0.1:9/hook", "event_types": ["order.placed.v1"]}
AS_OPERATOR = bearer(sub=OPERATOR.id, role="operator")
AS_CUSTOMER, AS_OTHER_CUSTOMER = bearer(sub=CUSTOMER.id), bearer(sub=OTHER_CUSTOMER.id)


def create(client: FlaskClient, headers: dict[str, str] = AS_OPERATOR, **changes: Any) -> dict[str, Any]:
    reply = client.post(ENDPOINTS, json=BODY | changes, headers=headers)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = answer(reply)
    return made


def test_creating_an_endpoint_returns_its_secret_once(client: FlaskClient, store: Store) -> None:
    made = create(client, description="the shop")
    assert made["secret"].startswith("whsec_")
    assert made["scope"] == "all"
    shown = answer(client.get(f"{ENDPOINTS}/{made['id']}", headers=AS_OPERATOR))
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert answer(client.get(ENDPOINTS, headers=AS_OPERATOR))["data"] == [shown]
    assert made["secret"] not in str(list(store["endpoints"].find()))


def test_a_repeated_key_creates_one_endpoint_and_hides_the_secret(client: FlaskClient, store: Store) -> None:
    headers = AS_OPERATOR | {"Idempotency-Key": "k1"}
    first, second = (client.post(ENDPOINTS, json=BODY, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert answer(first)["id"] == answer(second)["id"]
    assert "secret" not in answer(second)
    assert "whsec_" not in str(list(store["replies"].find()))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://shop.example/"}, "url"),
        ({"url": "https://user:secret@shop.example/"}, "url"),
        ({"url": f"https://{'a' * 10_000}.example/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "url"),
        ({"url": 7}, "url"),
        ({"event_types": ["order.vanished.v1"]}, "event_types"),
        ({"event_types": ["attempt.failed.v1"]}, "event_types"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["order.placed.v1"] * 51}, "event_types"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_invalid_input_is_rejected_by_field(client: FlaskClient, changes: dict[str, Any], field: str) -> None:
    reply = client.post(ENDPOINTS, json=BODY | changes, headers=AS_OPERATOR)
    assert reply.status_code == 422
    assert field in answer(reply)["errors"]


def test_a_customer_may_subscribe_only_to_order_events(client: FlaskClient) -> None:
    reply = client.post(ENDPOINTS, json=BODY | {"event_types": ["product.listed.v1"]}, headers=AS_CUSTOMER)
    assert reply.status_code == 422
    assert create(client, AS_CUSTOMER)["scope"] == "own_orders"


def test_a_host_with_public_and_private_addresses_is_rejected(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = socket.getaddrinfo
    found: Any = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("93.184.216.34", "10.0.0.1")]

    def answer_both(host: str, *rest: Any, **options: Any) -> Any:
        return found if host == "both.example" else resolve(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer_both)
    reply = client.post(ENDPOINTS, json=BODY | {"url": "https://both.example/"}, headers=AS_OPERATOR)
    assert reply.status_code == 422
    assert "not public" in str(answer(reply)["errors"]["url"])


def test_the_endpoint_limit_of_an_account_holds_for_concurrent_requests(client: FlaskClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(
                lambda _: client.application.test_client().post(ENDPOINTS, json=BODY, headers=AS_CUSTOMER), range(8)
            )
        )
    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [409] * 5
    refused = next(answer(reply) for reply in replies if reply.status_code == 409)
    assert refused["code"] == "too_many_endpoints"
    made = next(answer(reply) for reply in replies if reply.status_code == 201)
    assert client.delete(f"{ENDPOINTS}/{made['id']}", headers=AS_CUSTOMER).status_code == 204
    create(client, AS_CUSTOMER)


def test_resources_of_other_owners_are_404(client: FlaskClient, store: Store) -> None:
    made = create(client, AS_CUSTOMER)
    test = answer(client.post(f"{ENDPOINTS}/{made['id']}/test", headers=AS_CUSTOMER))
    since = {"since": "2026-01-01T00:00:00Z"}
    calls = [
        ("GET", f"{ENDPOINTS}/{made['id']}", None),
        ("PATCH", f"{ENDPOINTS}/{made['id']}", {"enabled": False}),
        ("DELETE", f"{ENDPOINTS}/{made['id']}", None),
        ("POST", f"{ENDPOINTS}/{made['id']}/rotate-secret", {}),
        ("POST", f"{ENDPOINTS}/{made['id']}/test", None),
        ("POST", f"{ENDPOINTS}/{made['id']}/resend", since),
        ("GET", f"{ENDPOINTS}/{made['id']}/deliveries", None),
        ("POST", f"/api/v1/deliveries/{test['id']}/resend", None),
        ("POST", f"/api/v1/deliveries/{test['id']}/dismiss", None),
    ]
    for method, path, body in calls:
        options: dict[str, Any] = {"json": body} if body is not None else {}
        for place in (path, path.replace(made["id"], new_id()).replace(test["id"], new_id()), f"{path}x"):
            reply = client.open(place, method=method, headers=AS_OTHER_CUSTOMER, **options)
            assert reply.status_code == 404, (method, place)
    assert answer(client.get(ENDPOINTS, headers=AS_OTHER_CUSTOMER))["data"] == []
    assert [each["id"] for each in answer(client.get(ENDPOINTS, headers=AS_OPERATOR))["data"]] == [made["id"]]
    assert store["endpoints"].count_documents({"enabled": True}) == 1


def test_a_patch_changes_only_given_fields(client: FlaskClient) -> None:
    made = create(client)
    place = f"{ENDPOINTS}/{made['id']}"
    changes = {"url": "http://127.0.0.1:9/other", "event_types": ["stock.sold.v1"], "description": "new"}
    changed = answer(client.patch(place, json=changes, headers=AS_OPERATOR))
    assert {name: changed[name] for name in changes} == changes
    assert client.patch(place, json={"url": "https://10.0.0.1/"}, headers=AS_OPERATOR).status_code == 422
    not_booleans: list[Any] = [1, "true", None, []]
    for invalid in not_booleans:
        assert client.patch(place, json={"enabled": invalid}, headers=AS_OPERATOR).status_code == 422
    disabled = answer(client.patch(place, json={"enabled": False}, headers=AS_OPERATOR))
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "requested")
    assert disabled["disabled_at"]
    enabled = answer(client.patch(place, json={"enabled": True}, headers=AS_OPERATOR))
    assert (enabled["enabled"], enabled["disabled_at"]) == (True, None)


def test_both_secrets_sign_for_a_while_after_a_rotation(client: FlaskClient) -> None:
    made = create(client)
    place = f"{ENDPOINTS}/{made['id']}/rotate-secret"
    rotated = answer(client.post(place, json={"keep_previous_seconds": 60}, headers=AS_OPERATOR))
    assert rotated["secret"] != made["secret"]
    assert len(rotated["previous_secrets_until"]) == 1
    assert answer(client.post(place, json={"keep_previous_seconds": 0}, headers=AS_OPERATOR))["secret"]
    for invalid in (-1, 8 * 86_400, "x", 1.5, None):
        reply = client.post(place, json={"keep_previous_seconds": invalid}, headers=AS_OPERATOR)
        assert reply.status_code == 422


def test_deliveries_are_filtered_by_status_and_paginated(client: FlaskClient, store: Store) -> None:
    made = create(client)
    place = f"{ENDPOINTS}/{made['id']}/deliveries"
    events = [sample("order.placed.v1") for _ in range(5)]
    for event in events:
        record(store, event)
    store["deliveries"].update_one({"event_id": events[0].id}, {"$set": {"status": "failed", "reason": "gone"}})
    failed = answer(client.get(f"{place}?status=failed", headers=AS_OPERATOR))["data"]
    assert [(each["event_id"], each["reason"]) for each in failed] == [(events[0].id, "gone")]
    seen: list[str] = []
    query = "limit=2"
    while True:
        page = answer(client.get(f"{place}?{query}", headers=AS_OPERATOR))
        seen += [each["event_id"] for each in page["data"]]
        if not page["has_more"]:
            break
        query = f"limit=2&starting_after={page['data'][-1]['id']}"
    assert seen == [event.id for event in reversed(events)]
    assert answer(client.get(f"{place}?event_id={events[1].id}", headers=AS_OPERATOR))["data"][0]["next_attempt_at"]
    for query in ("status=lost", f"starting_after={new_id()}", "limit=0", "limit=101", "x=1"):
        assert client.get(f"{place}?{query}", headers=AS_OPERATOR).status_code == 422, query


def test_failed_deliveries_are_resent_or_dismissed(client: FlaskClient, store: Store) -> None:
    made = create(client)
    for _ in range(3):
        record(store, sample("order.placed.v1"))
    store["deliveries"].update_many({}, {"$set": {"status": "failed", "reason": "attempts_exhausted"}})
    first, second, _ = deliveries_of(store, made["id"])
    dismissed = answer(client.post(f"/api/v1/deliveries/{first['_id']}/dismiss", headers=AS_OPERATOR))
    assert dismissed["status"] == "dismissed"
    again = client.post(f"/api/v1/deliveries/{first['_id']}/dismiss", headers=AS_OPERATOR)
    assert (again.status_code, answer(again)["status"]) == (200, "dismissed")
    resent = client.post(f"/api/v1/deliveries/{second['_id']}/resend", headers=AS_OPERATOR)
    assert (resent.status_code, answer(resent)["status"]) == (202, "pending")
    refused = client.post(f"/api/v1/deliveries/{second['_id']}/dismiss", headers=AS_OPERATOR)
    assert (refused.status_code, answer(refused)["code"]) == (409, "delivery_not_failed")
    place = f"{ENDPOINTS}/{made['id']}/resend"
    later = client.post(place, json={"since": "2999-01-01T00:00:00Z"}, headers=AS_OPERATOR)
    assert answer(later) == {"resent": 0}
    all_of_them = client.post(place, json={"since": "2026-01-01T00:00:00Z"}, headers=AS_OPERATOR)
    assert (all_of_them.status_code, answer(all_of_them)) == (202, {"resent": 1})
    for invalid in ("yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", 7, None):
        assert client.post(place, json={"since": invalid}, headers=AS_OPERATOR).status_code == 422


def test_a_test_event_creates_its_own_delivery(client: FlaskClient) -> None:
    made = create(client)
    place = f"{ENDPOINTS}/{made['id']}"
    sent = client.post(f"{place}/test", headers=AS_OPERATOR)
    assert (sent.status_code, answer(sent)["event_type"]) == (202, "webhook.test.v1")
    client.patch(place, json={"enabled": False}, headers=AS_OPERATOR)
    refused = client.post(f"{place}/test", headers=AS_OPERATOR)
    assert (refused.status_code, answer(refused)["code"]) == (409, "endpoint_disabled")


def test_deleting_an_endpoint_deletes_its_deliveries(client: FlaskClient, store: Store) -> None:
    made = create(client)
    record(store, sample("order.placed.v1"))
    assert client.delete(f"{ENDPOINTS}/{made['id']}", headers=AS_OPERATOR).status_code == 204
    assert client.get(f"{ENDPOINTS}/{made['id']}", headers=AS_OPERATOR).status_code == 404
    assert deliveries_of(store, made["id"]) == []


def test_requests_without_a_token_are_rejected(client: FlaskClient) -> None:
    assert client.get(ENDPOINTS).status_code == 401
    assert client.post(ENDPOINTS, json=BODY).status_code == 401
