"""Declarations that are interrupted, on a real RabbitMQ: the next one ends in queues that are bound and whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika
import pytest
from amqp.exceptions import InternalError
from kombu import Connection

from common.errors import Unavailable, classify
from common.messaging import new_queues, topology
from common.messaging.new_queues import BusyError
from common.tests.worker_process import SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kombu import Queue
    from pika.adapters.blocking_connection import BlockingChannel

pytestmark = pytest.mark.integration
BINDINGS = {"orders": ["thing.happened.v1"]}
QUEUE = "orders.events"


@pytest.fixture
def channel(vhost: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(vhost))
    opened = connection.channel()
    opened.confirm_delivery()
    yield opened
    connection.close()


def put(channel: BlockingChannel, exchange: str = "", key: str = QUEUE) -> None:
    channel.basic_publish(exchange, key, b"body", pika.BasicProperties(delivery_mode=2), mandatory=True)


def held(channel: BlockingChannel) -> int:
    """0 also if the queue does not answer in 250 ms."""
    return int(channel.queue_declare(QUEUE, passive=True).method.message_count)


def wait_for(channel: BlockingChannel, count: int) -> None:
    wait_until(lambda: held(channel) == count, what=f"{count} in the queue")


def interrupt(monkeypatch: pytest.MonkeyPatch, vhost: str) -> None:
    """A declaration that dies while new queues settle."""

    def die(_seconds: float) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(topology, "sleep", die)
        with pytest.raises(SystemExit):
            topology.declare(vhost, BINDINGS, settle_seconds=1)


def test_what_was_interrupted_is_begun_again(
    vhost: str, channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, vhost)
    put(channel)  # by its name: nothing is bound to it
    topology.declare(vhost, BINDINGS)
    assert held(channel) == 0, "it is another queue"
    put(channel, "holdfast.events", "thing.happened.v1")
    wait_for(channel, 1)


def test_a_declaration_that_a_busy_broker_refuses_is_repeated(
    vhost: str, channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, refusals = new_queues.declare, [1, 2]

    def refused(connection: Connection, queues: Sequence[Queue]) -> list[Queue]:
        new = whole(connection, queues)
        if refusals:
            refusals.pop()
            raise InternalError("cluster_not_formed", (50, 10), "541")
        return new

    monkeypatch.setattr(new_queues, "declare", refused)
    topology.declare(vhost, BINDINGS)
    put(channel, "holdfast.events", "thing.happened.v1")
    wait_for(channel, 1)


def test_a_queue_that_was_finished_is_not_changed_whatever_is_interrupted_later(
    vhost: str, channel: BlockingChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    topology.declare(vhost, BINDINGS)
    put(channel)
    interrupt(monkeypatch, vhost)
    topology.declare(vhost, BINDINGS | {"payments": ["thing.happened.v1"]})
    wait_for(channel, 1)


def test_a_queue_that_has_settled_and_is_not_bound_yet_is_bound(vhost: str, channel: BlockingChannel) -> None:
    queue = topology.consumer_queue("orders")
    with Connection(vhost, connect_timeout=SECONDS) as connection:
        assert new_queues.declare(connection, [queue]) == [queue]
        new_queues.finish(connection, [queue])
        assert new_queues.declare(connection, [queue]) == []
    put(channel)
    topology.declare(vhost, BINDINGS)
    put(channel, "holdfast.events", "thing.happened.v1")
    wait_for(channel, 2)


def test_declarations_are_exclusive_and_a_dead_process_releases_the_lock(vhost: str) -> None:
    first = pika.BlockingConnection(pika.URLParameters(vhost))
    first.channel().queue_declare(new_queues.LOCK, exclusive=True)
    with Connection(vhost, connect_timeout=SECONDS) as second:
        with pytest.raises(BusyError) as busy, new_queues.one_at_a_time(second, wait_seconds=0.3):
            pass
        assert classify(busy.value) is Unavailable
        first.close()  # as when its process dies
        with new_queues.one_at_a_time(second, wait_seconds=SECONDS):
            pass
        with (
            Connection(vhost, connect_timeout=SECONDS) as third,
            new_queues.one_at_a_time(third, wait_seconds=SECONDS),
        ):
            pass


def test_only_new_queues_have_to_settle(vhost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(topology, "sleep", slept.append)
    for _ in range(2):
        topology.declare(vhost, BINDINGS, settle_seconds=1)
    assert slept == [1, 0]
