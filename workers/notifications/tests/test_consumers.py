"""The consumer receives every event of the contracts, twice and out of order, one by one and in batches."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect
from pymongo.monitoring import CommandListener

from common.messaging import topology
from common.messaging.events import new_id
from common.messaging.inbox import Delivery
from services.notifications import models, owners
from services.notifications.domain import EVENT_TYPES
from services.notifications.tests.builders import (
    CUSTOMER,
    OTHER_CUSTOMER,
    deliveries_of,
    make_endpoint,
    sample,
)
from workers.notifications.consumers import HANDLERS, Resources, record_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database
    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

    from common.messaging.events import Event
    from common.security.tokens import Caller

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
CUSTOMERS = (CUSTOMER, OTHER_CUSTOMER)
OF_ORDERS = [name for name, known in EVENT_TYPES.items() if known.is_of_order]


class CountedCommands(CommandListener):
    """The names of the commands that a client sends."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


def receive(store: Store, *events: Event) -> int:
    """Pass the events to the consumer one by one; returns how often the sender was woken."""
    woken: list[int] = []
    for event in events:
        HANDLERS[topology.EVERYTHING](Delivery("notifications", event), Resources(store, lambda: woken.append(1)))
    return len(woken)


def receive_together(store: Store, *events: Event) -> int:
    """Pass the events to the consumer as one batch; returns how often the sender was woken."""
    woken: list[int] = []
    batch = [Delivery("notifications", event) for event in events]
    assert record_events(Resources(store, lambda: woken.append(1)), batch) == [True] * len(events)
    return len(woken)


def receive_in_batches(store: Store, *events: Event) -> int:
    waiting, woken = list(events), 0
    while waiting:
        size = random.randint(1, 12)
        woken += receive_together(store, *waiting[:size])
        waiting = waiting[size:]
    return woken


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hand_over", [receive, receive_together, receive_in_batches])
def test_each_event_is_recorded_once_for_each_authorized_endpoint(
    store: Store, hand_over: Callable[..., int], seed: int
) -> None:
    operators, _ = make_endpoint(store, "http://127.0.0.1:9/", *EVENT_TYPES)
    customers, _ = make_endpoint(store, "http://127.0.0.1:9/", *OF_ORDERS, owner=CUSTOMER)
    other_customers, _ = make_endpoint(store, "http://127.0.0.1:9/", *OF_ORDERS, owner=OTHER_CUSTOMER)
    events = [sample(name) for name in EVENT_TYPES]
    twice = [*events, *events, sample("attempt.failed.v1")]
    random.seed(seed)
    random.shuffle(twice)
    assert hand_over(store, *twice)
    assert sorted(each["event_type"] for each in deliveries_of(store, operators)) == sorted(EVENT_TYPES)
    assert sorted(each["event_type"] for each in deliveries_of(store, customers)) == sorted(OF_ORDERS)
    assert deliveries_of(store, other_customers) == []
    assert store["events_without_owner"].count_documents({}) == 0


def test_each_event_of_a_batch_is_recorded_for_the_customer_of_its_order(store: Store) -> None:
    both = {who: make_endpoint(store, "http://127.0.0.1:9/", *OF_ORDERS, owner=who)[0] for who in CUSTOMERS}
    expected: dict[Caller, set[str]] = {who: set() for who in CUSTOMERS}
    batch: list[Event] = []
    for number in range(10):
        who, order_id = CUSTOMERS[number % 2], new_id()
        placed = sample("order.placed.v1", orderid=order_id)
        placed.data["customer_id"] = who.id
        events = [sample("payment.captured.v1", orderid=order_id), placed, sample("stock.sold.v1", orderid=order_id)]
        expected[who] |= {event.id for event in events}
        batch += events
    receive(store, batch.pop(0))  # one is already waiting for its owner
    assert receive_together(store, *batch) == 1
    for who, endpoint_id in both.items():
        assert {each["event_id"] for each in deliveries_of(store, endpoint_id)} == expected[who]
    assert store["events_without_owner"].count_documents({}) == 0


def test_events_of_a_failed_batch_are_recorded_once_when_handled_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint_id, _ = make_endpoint(store, "http://127.0.0.1:9/")
    events = [sample("order.placed.v1", orderid=new_id()) for _ in range(5)]
    with monkeypatch.context() as patched:
        patched.setattr(models, "wake", _fail)
        with pytest.raises(AutoReconnect):
            receive_together(store, *events)
    store["endpoints"].update_one({}, {"$set": {"next_due_at": models.NEVER}})
    receive(store, *events)
    assert sorted(each["event_id"] for each in deliveries_of(store, endpoint_id)) == sorted(each.id for each in events)
    found = models.get(store, endpoint_id)
    assert found is not None
    assert found["next_due_at"] < models.NEVER, "recorded, and nobody would send them"


def test_all_events_that_wait_for_an_owner_are_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "MAX_WAITING", 2)
    endpoint_id, _ = make_endpoint(store, "http://127.0.0.1:9/", "payment.captured.v1", owner=CUSTOMER)
    events = [sample("payment.captured.v1") for _ in range(5)]
    receive_together(store, *events)
    assert deliveries_of(store, endpoint_id) == []
    receive(store, sample("order.placed.v1"))
    assert {each["event_id"] for each in deliveries_of(store, endpoint_id)} == {event.id for event in events}


@pytest.mark.parametrize("count", [1, 20])
def test_orders_without_subscribers_take_three_commands_alone_or_in_a_batch(
    store: Store, document_store: str, count: int
) -> None:
    """The owners are stored, for events that may come later; what waits for them, and who subscribed, is read."""
    assert store is not None  # the indexes exist
    commands = CountedCommands()
    with MongoClient[dict[str, Any]](document_store, event_listeners=[commands]) as client:
        receive_together(
            client.get_default_database(), *(sample("order.placed.v1", orderid=new_id()) for _ in range(count))
        )
    of_the_connection = {"saslContinue", "endSessions"}
    assert [name for name in commands.names if name not in of_the_connection] == ["update", "find", "find"]


@pytest.mark.parametrize("data", [{}, {"customer_id": 7}, {"customer_id": "x" * 100}, {"customer_id": None}])
def test_an_order_without_a_customer_is_sent_only_to_operators(store: Store, data: dict[str, Any]) -> None:
    operators, _ = make_endpoint(store, "http://127.0.0.1:9/")
    customers, _ = make_endpoint(store, "http://127.0.0.1:9/", owner=CUSTOMER)
    receive(store, sample("order.placed.v1", data=data))
    assert len(deliveries_of(store, operators)) == 1
    assert deliveries_of(store, customers) == []


def test_the_sender_is_woken_only_if_a_delivery_is_due(store: Store) -> None:
    assert receive(store, sample("order.placed.v1")) == 0
    make_endpoint(store, "http://127.0.0.1:9/")
    event = sample("order.placed.v1")
    assert receive(store, event) == 1
    assert receive(store, event) == 0


def _fail(*_: Any, **__: Any) -> None:
    raise AutoReconnect("away")
