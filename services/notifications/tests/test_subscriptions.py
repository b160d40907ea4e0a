"""When a subscription begins, and when an event type is unbound."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import utc_now
from services.notifications import models, subscriptions, usecases
from services.notifications.tests.builders import OPERATOR, RULES, make_endpoint

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
URL = "http://127.0.0.1:9/"


def since_of(store: Store, endpoint_id: str) -> dict[str, Any]:
    endpoint = models.get(store, endpoint_id)
    assert endpoint is not None
    return {each["event_type"]: each["since"] for each in endpoint["subscriptions"]}


def follow(store: Store) -> subscriptions.Round:
    todo = subscriptions.plan(store)
    for event_type in todo.to_bind:
        subscriptions.note_binding(store, event_type)
    subscriptions.begin(store, todo.endpoints)
    return todo


def test_a_subscription_begins_with_the_round_that_binds_its_type(store: Store) -> None:
    endpoint_id, _ = make_endpoint(store, URL, "order.placed.v1", "stock.sold.v1")
    assert subscriptions.is_round_due(store)
    assert since_of(store, endpoint_id) == {"order.placed.v1": None, "stock.sold.v1": None}
    assert follow(store).to_bind == ["order.placed.v1", "stock.sold.v1"]
    assert all(since_of(store, endpoint_id).values())
    assert not subscriptions.is_round_due(store)


def test_a_change_keeps_other_subscriptions(store: Store) -> None:
    endpoint_id, _ = make_endpoint(store, URL, "order.placed.v1")
    follow(store)
    before = since_of(store, endpoint_id)
    types = ["order.placed.v1", "stock.sold.v1"]
    usecases.change_endpoint(store, RULES, OPERATOR, endpoint_id, {"event_types": types})
    assert since_of(store, endpoint_id) == before | {"stock.sold.v1": None}


def test_an_endpoint_that_changed_since_it_was_read_waits_for_the_next_round(store: Store) -> None:
    endpoint_id, _ = make_endpoint(store, URL, "order.placed.v1")
    todo = subscriptions.plan(store)
    usecases.change_endpoint(store, RULES, OPERATOR, endpoint_id, {"event_types": ["stock.sold.v1"]})
    subscriptions.begin(store, todo.endpoints)
    assert since_of(store, endpoint_id) == {"stock.sold.v1": None}


def test_a_type_without_subscriptions_is_unbound_after_a_while(store: Store) -> None:
    endpoint_id, _ = make_endpoint(store, URL, "order.placed.v1", "stock.sold.v1")
    follow(store)
    usecases.delete_endpoint(store, OPERATOR, endpoint_id)
    assert subscriptions.plan(store).to_unbind == []
    long_ago = utc_now() - timedelta(seconds=subscriptions.UNBIND_AFTER_SECONDS + 1)
    store["bindings"].update_many({}, {"$set": {"unwanted_since": long_ago}})
    assert subscriptions.plan(store).to_unbind == ["stock.sold.v1"], "what says whose order it is stays"
    make_endpoint(store, URL, "stock.sold.v1")
    assert follow(store).to_unbind == []
    assert store["bindings"].find_one({"_id": "stock.sold.v1"}) == {"_id": "stock.sold.v1", "unwanted_since": None}
