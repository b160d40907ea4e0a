"""The queue's bindings on a real broker while subscriptions change."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pika
import pytest
from pika.exceptions import UnroutableError

from common.messaging import topology
from common.messaging.events import utc_now
from common.messaging.queue_bindings import BindingsBusyError, changing
from services.notifications import models, usecases
from services.notifications.subscriptions import ALWAYS_BOUND, UNBIND_AFTER_SECONDS
from services.notifications.tests.builders import OPERATOR, make_endpoint
from workers.notifications.following import CONTEXT, follow_once, following

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
URL = "http://127.0.0.1:9/"


@pytest.fixture
def broker(vhost: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("workers.notifications.following.BROKER_SECONDS", 60.0)
    topology.declare(vhost, {CONTEXT: ALWAYS_BOUND})
    return vhost


def comes_in(broker: str, event_type: str) -> bool:
    """Whether the queue is bound to that type: the broker returns unroutable messages."""
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish(topology.EVENTS.name, event_type, b"", mandatory=True)
    except UnroutableError:
        return False
    finally:
        connection.close()
    return True


def follow(store: Store, broker: str) -> None:
    """One round. The broker releases the lock of the round before only after it has closed that connection."""
    deadline = time.monotonic() + 60
    while True:
        try:
            follow_once(store, broker)
        except BindingsBusyError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_only_subscribed_event_types_are_bound(store: Store, broker: str) -> None:
    follow(store, broker)
    assert comes_in(broker, "order.placed.v1")
    assert not comes_in(broker, "stock.sold.v1")
    endpoint_id, _ = make_endpoint(store, URL, "stock.sold.v1")
    follow(store, broker)
    assert comes_in(broker, "stock.sold.v1")
    assert not comes_in(broker, "stock.released.v1")
    usecases.delete_endpoint(store, OPERATOR, endpoint_id)
    follow(store, broker)
    long_ago = utc_now() - timedelta(seconds=UNBIND_AFTER_SECONDS + 1)
    store["bindings"].update_many({}, {"$set": {"unwanted_since": long_ago}})
    follow(store, broker)
    assert not comes_in(broker, "stock.sold.v1")
    assert comes_in(broker, "order.placed.v1"), "it says whose order it is"


def test_one_worker_at_a_time_changes_bindings(store: Store, broker: str) -> None:
    with changing(broker, CONTEXT, timeout_seconds=60), pytest.raises(BindingsBusyError):
        follow_once(store, broker)
    follow(store, broker)


def test_lost_bindings_are_restored(store: Store, broker: str) -> None:
    make_endpoint(store, URL, "stock.sold.v1")
    follow(store, broker)
    connection = pika.BlockingConnection(pika.URLParameters(broker))
    connection.channel().queue_unbind(topology.events_queue(CONTEXT), topology.EVENTS.name, "stock.sold.v1")
    connection.close()
    assert not comes_in(broker, "stock.sold.v1")
    follow(store, broker)
    assert comes_in(broker, "stock.sold.v1")


def test_bindings_follow_subscriptions_while_it_runs(store: Store, broker: str) -> None:
    with following(store, broker), following(store, broker):
        endpoint_id, _ = make_endpoint(store, URL, "stock.sold.v1")
        deadline = time.monotonic() + 60
        while (endpoint := models.get(store, endpoint_id)) is None or endpoint["is_unbound"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert comes_in(broker, "stock.sold.v1")
