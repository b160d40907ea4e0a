"""Which endpoints get a delivery of an event, on a real MongoDB. Also tests `owners.py`."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import utc_now
from services.notifications import deliveries, models, recording, usecases
from services.notifications.domain import Reason, Status
from services.notifications.tests.builders import (
    CUSTOMER,
    OPERATOR,
    OTHER_CUSTOMER,
    RULES,
    deliveries_of,
    make_endpoint,
    record,
    sample,
)

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
URL = "http://127.0.0.1:9/"


def test_an_event_is_recorded_once_for_each_subscriber(store: Store) -> None:
    wants, other = make_endpoint(store, URL)[0], make_endpoint(store, URL, "order.cancelled.v1")[0]
    event = sample("order.placed.v1")
    assert [record(store, event), record(store, event)] == [1, 0]
    (delivery,) = deliveries_of(store, wants)
    assert (delivery["event_id"], delivery["status"], delivery["order_id"]) == (event.id, "pending", event.orderid)
    assert json.loads(delivery["body"])["data"]["order_id"] == event.orderid
    assert "pm_card" not in delivery["body"]
    assert deliveries_of(store, other) == []
    assert record(store, sample("attempt.failed.v1")) == 0


def test_a_customer_gets_events_of_their_own_orders_only(store: Store) -> None:
    own, foreign = (make_endpoint(store, URL, owner=who)[0] for who in (CUSTOMER, OTHER_CUSTOMER))
    placed, captured = sample("order.placed.v1"), sample("payment.captured.v1")
    recording.note_owners(store, {placed.orderid or "": CUSTOMER.id})
    record(store, placed)
    record(store, captured)
    assert {each["event_id"] for each in deliveries_of(store, own)} == {placed.id, captured.id}
    assert deliveries_of(store, foreign) == []


@pytest.mark.parametrize("seed", range(5))
def test_events_are_matched_to_their_customer_in_any_order(store: Store, seed: int) -> None:
    own, all_of_them = make_endpoint(store, URL, owner=CUSTOMER)[0], make_endpoint(store, URL)[0]
    events = [sample(name) for name in ("order.placed.v1", "payment.captured.v1", "order.confirmed.v1")]
    steps: list[Any] = [*events, *events, None]
    random.Random(seed).shuffle(steps)
    for step in steps:
        if step is None:
            recording.note_owners(store, {events[0].orderid or "": CUSTOMER.id})
        else:
            record(store, step)
    for endpoint_id in (own, all_of_them):
        assert sorted(each["event_id"] for each in deliveries_of(store, endpoint_id)) == sorted(
            event.id for event in events
        )
    assert store["events_without_owner"].count_documents({}) == 0


def test_a_concurrent_event_and_owner_are_matched(store: Store) -> None:
    own = make_endpoint(store, URL, "payment.captured.v1", owner=CUSTOMER)[0]
    with ThreadPoolExecutor(2) as pool:
        for number in range(30):
            order_id = f"01928f6e-7c1a-7b30-9a55-{number:012}"
            event = sample("payment.captured.v1", orderid=order_id)
            both = [
                pool.submit(recording.note_owners, store, {order_id: CUSTOMER.id}),
                pool.submit(record, store, event),
            ]
            assert [each.result() for each in both]
    assert len(deliveries_of(store, own)) == 30


def test_events_for_a_disabled_endpoint_are_listed_as_failed(store: Store) -> None:
    endpoint_id, _ = make_endpoint(store, URL)
    usecases.change_endpoint(store, RULES, OPERATOR, endpoint_id, {"enabled": False})
    record(store, sample("order.placed.v1"))
    (delivery,) = deliveries_of(store, endpoint_id)
    assert (delivery["status"], delivery["reason"]) == (Status.FAILED, Reason.ENDPOINT_DISABLED)
    long_ago = utc_now() - timedelta(seconds=recording.RECORDED_WHILE_DISABLED_SECONDS + 1)
    store["endpoints"].update_one({"_id": endpoint_id}, {"$set": {"disabled_at": long_ago}})
    record(store, sample("order.placed.v1"))
    assert len(deliveries_of(store, endpoint_id)) == 1


def test_an_endpoint_disabled_or_deleted_during_recording_has_no_pending_delivery(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the subscribers and recording, one is deleted and one disabled."""
    deleted, disabled = make_endpoint(store, URL)[0], make_endpoint(store, URL)[0]
    insert = deliveries.insert

    def insert_late(database: Store, rows: list[dict[str, Any]]) -> int:
        usecases.delete_endpoint(store, OPERATOR, deleted)
        models.disable(store, disabled, reason=Reason.GONE, now=utc_now())
        return insert(database, rows)

    monkeypatch.setattr(deliveries, "insert", insert_late)
    record(store, sample("order.placed.v1"))
    assert deliveries_of(store, deleted) == []
    assert [each["status"] for each in deliveries_of(store, disabled)] == [Status.FAILED]
