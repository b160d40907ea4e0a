"""The consumer receives every event of the contracts, twice and out of order."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging import topology
from common.messaging.inbox import Delivery
from services.notifications.domain import EVENT_TYPES
from services.notifications.tests.builders import (
    CUSTOMER,
    OTHER_CUSTOMER,
    deliveries_of,
    make_endpoint,
    sample,
)
from workers.notifications.consumers import HANDLERS, Resources

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.messaging.events import Event

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
OF_ORDERS = [name for name, known in EVENT_TYPES.items() if known.is_of_order]


def receive(store: Store, *events: Event) -> int:
    """Hand them over; returns how often the sender was woken."""
    woken: list[int] = []
    for event in events:
        HANDLERS[topology.EVERYTHING](Delivery("notifications", event), Resources(store, lambda: woken.append(1)))
    return len(woken)


@pytest.mark.parametrize("seed", range(3))
def test_each_event_is_recorded_once_for_each_that_may_see_it(store: Store, seed: int) -> None:
    operators, _ = make_endpoint(store, "http://127.0.0.1:9/", *EVENT_TYPES)
    customers, _ = make_endpoint(store, "http://127.0.0.1:9/", *OF_ORDERS, owner=CUSTOMER)
    other_customers, _ = make_endpoint(store, "http://127.0.0.1:9/", *OF_ORDERS, owner=OTHER_CUSTOMER)
    events = [sample(name) for name in EVENT_TYPES]
    twice = [*events, *events, sample("attempt.failed.v1")]
    random.Random(seed).shuffle(twice)
    assert receive(store, *twice)
    assert sorted(each["event_type"] for each in deliveries_of(store, operators)) == sorted(EVENT_TYPES)
    assert sorted(each["event_type"] for each in deliveries_of(store, customers)) == sorted(OF_ORDERS)
    assert deliveries_of(store, other_customers) == []


@pytest.mark.parametrize("data", [{}, {"customer_id": 7}, {"customer_id": "x" * 100}, {"customer_id": None}])
def test_an_order_without_a_customer_reaches_operators_only(store: Store, data: dict[str, Any]) -> None:
    operators, _ = make_endpoint(store, "http://127.0.0.1:9/")
    customers, _ = make_endpoint(store, "http://127.0.0.1:9/", owner=CUSTOMER)
    receive(store, sample("order.placed.v1", data=data))
    assert len(deliveries_of(store, operators)) == 1
    assert deliveries_of(store, customers) == []


def test_the_sender_is_woken_only_if_something_is_due(store: Store) -> None:
    assert receive(store, sample("order.placed.v1")) == 0
    make_endpoint(store, "http://127.0.0.1:9/")
    event = sample("order.placed.v1")
    assert receive(store, event) == 1
    assert receive(store, event) == 0
