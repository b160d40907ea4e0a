"""A disabled endpoint is reported once to its owner's other endpoints, if they subscribed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import utc_now
from common.tests.webhook_receiver import Reply
from services.notifications import models
from services.notifications.domain import DISABLED_EVENT, Reason, may_subscribe
from services.notifications.operational_events import notify_disabled
from services.notifications.tests.builders import CUSTOMER, deliveries_of, make_endpoint, record, sample
from services.notifications.tests.test_dispatching import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver
    from services.notifications.dispatching import Dispatcher

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration


def test_a_disabled_endpoint_is_reported_to_its_owners_other_endpoint(
    store: Store, receiver: Receiver, make_dispatcher: Callable[..., Dispatcher]
) -> None:
    gone, _ = make_endpoint(store, f"{receiver.url}/gone")
    other, secret = make_endpoint(store, f"{receiver.url}/other", DISABLED_EVENT)
    make_endpoint(store, f"{receiver.url}/unsubscribed", "order.confirmed.v1")
    make_endpoint(store, f"{receiver.url}/foreign", DISABLED_EVENT, owner=CUSTOMER)
    receiver.replies["/gone"] = Reply(410)
    record(store, sample("order.placed.v1"))
    run(make_dispatcher())
    (request,) = receiver.at("/other")
    payload = request.verified(secret)
    assert payload["type"] == DISABLED_EVENT
    assert payload["data"] == {"endpoint_id": gone, "url": f"{receiver.url}/gone", "reason": "gone"}
    assert payload["id"] == request.headers["webhook-id"]
    assert receiver.at("/unsubscribed") == receiver.at("/foreign") == []
    (delivery,) = deliveries_of(store, other)
    assert delivery["status"] == "delivered"


def test_a_disabling_is_recorded_once_per_occurrence(store: Store) -> None:
    endpoint_id, _ = make_endpoint(store, "http://127.0.0.1:9/a", DISABLED_EVENT)
    other, _ = make_endpoint(store, "http://127.0.0.1:9/b", DISABLED_EVENT)
    endpoint = models.get(store, endpoint_id)
    assert endpoint is not None
    counts = [notify_disabled(store, endpoint, reason=Reason.FAILING, now=utc_now()) for _ in range(2)]
    assert counts == [1, 0]
    assert notify_disabled(store, endpoint | {"revision": 7}, reason=Reason.FAILING, now=utc_now()) == 1
    assert len(deliveries_of(store, other)) == 2
    assert deliveries_of(store, endpoint_id) == []


def test_customers_and_operators_may_subscribe() -> None:
    assert may_subscribe("customer", DISABLED_EVENT)
    assert may_subscribe("operator", DISABLED_EVENT)
