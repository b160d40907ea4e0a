"""Exchanges and queues on a real RabbitMQ: where published messages arrive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pika
import pytest
from pika.exceptions import UnroutableError

from common.messaging import topology
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel

pytestmark = pytest.mark.integration
BINDINGS = {"orders": ["stock.reserved.v1"], "payments": ["stock.reserved.v1", "order.placed.v1"], "archive": ["#"]}
SECONDS = 60.0


@pytest.fixture
def channel(vhost: str) -> Iterator[BlockingChannel]:
    topology.declare(vhost, BINDINGS, timeout_seconds=SECONDS)
    connection = pika.BlockingConnection(pika.URLParameters(vhost))
    opened = connection.channel()
    opened.confirm_delivery()
    yield opened
    connection.close()


def publish(channel: BlockingChannel, exchange: str, key: str, **headers: Any) -> None:
    properties = pika.BasicProperties(delivery_mode=2, headers=headers)
    channel.basic_publish(exchange, key, b"body", properties, mandatory=True)


def get(channel: BlockingChannel, queue: str) -> pika.BasicProperties:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        method, properties, _body = channel.basic_get(queue, auto_ack=True)
        if method is not None and properties is not None:
            return properties
        time.sleep(0.02)
    raise AssertionError(f"nothing came into {queue}")


def counts(channel: BlockingChannel) -> dict[str, int]:
    queues = [topology.events_queue(context) for context in BINDINGS] + [topology.DEAD_LETTERS]
    return {queue: channel.queue_declare(queue, passive=True).method.message_count for queue in queues}


def test_declaring_again_changes_nothing(vhost: str, channel: BlockingChannel) -> None:
    names = topology.declare(vhost, BINDINGS)
    assert set(names) >= {"orders.events", "payments.events", "archive.events", "operations.dead-letters"}
    assert len(names) == len(set(names)) == len(BINDINGS) + len(topology.RETRY_DELAYS_SECONDS) + 1


def test_nothing_reaches_a_new_queue_before_it_has_settled(vhost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def publish_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            assert set(counts(channel).values()) == {0}, "the queues are there"
            with pytest.raises(UnroutableError):
                publish(channel, "holdfast.events", "order.placed.v1")

    monkeypatch.setattr(topology, "sleep", publish_meanwhile)
    topology.declare(vhost, BINDINGS, settle_seconds=topology.SETTLE_SECONDS)
    assert waited == [topology.SETTLE_SECONDS]


def test_an_event_comes_to_all_that_are_bound_to_its_type(channel: BlockingChannel) -> None:
    publish(channel, "holdfast.events", "order.placed.v1")
    get(channel, "payments.events")
    get(channel, "archive.events")
    publish(channel, "holdfast.events", "stock.reserved.v1")
    for queue in ("orders.events", "payments.events", "archive.events"):
        get(channel, queue)
    assert set(counts(channel).values()) == {0}


def test_a_delay_queue_brings_a_message_back_to_its_own_queue_alone_after_its_time(channel: BlockingChannel) -> None:
    seconds = topology.RETRY_DELAYS_SECONDS[0]
    started = time.monotonic()
    publish(channel, topology.delay_exchange(seconds).name, topology.events_queue("orders"))
    get(channel, "orders.events")
    assert time.monotonic() - started >= seconds * 0.9
    assert set(counts(channel).values()) == {0}


def test_a_rejected_message_becomes_a_dead_letter_that_names_its_queue(channel: BlockingChannel) -> None:
    publish(channel, "holdfast.events", "stock.reserved.v1")
    for queue in ("orders.events", "payments.events"):
        method = None
        while method is None:
            method, _properties, _body = channel.basic_get(queue)
        channel.basic_nack(method.delivery_tag or 0, requeue=False)
    dead = [get(channel, topology.DEAD_LETTERS), get(channel, topology.DEAD_LETTERS)]
    queues = {properties.headers["x-first-death-queue"] for properties in dead if properties.headers}
    assert queues == {"orders.events", "payments.events"}


def test_retry_delays_increase_up_to_the_last() -> None:
    climbed = [topology.retry_delay(attempt) for attempt in range(1, 8)]
    assert climbed == sorted(climbed)
    assert climbed[0] == topology.RETRY_DELAYS_SECONDS[0]
    assert set(climbed[len(topology.RETRY_DELAYS_SECONDS) :]) == {topology.RETRY_DELAYS_SECONDS[-1]}


def test_a_worker_sees_its_queue_as_it_was_declared(vhost: str, channel: BlockingChannel) -> None:
    queue = topology.consumer_queue("orders")
    # The broker refuses a declaration whose arguments differ.
    channel.queue_declare(queue.name, durable=True, arguments=queue.queue_arguments)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_dead_or_frozen_broker_is_reported_in_time(vhost: str, fault: str) -> None:
    with Link(vhost) as link:
        getattr(link, fault)()
        started = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT011 - refused or timed out
            topology.declare(link.url, BINDINGS, timeout_seconds=1)
        assert time.monotonic() - started < SECONDS
