"""Malformed bytes on a connection from a real broker: it is closed without the help of heartbeats."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from select import select
from struct import pack
from typing import TYPE_CHECKING, Any

import kombu
import pytest
from kombu.transport import pyamqp

from common.messaging.bounded_frames import FRAME_SECONDS, RECEIVE_BYTES, BoundedConnection
from common.messaging.confirms import Message
from common.messaging.events import new_id
from common.messaging.publisher import HEARTBEAT_SECONDS, ConfirmedPublisher
from common.tests.outboxes import connect
from common.tests.tcp_proxy import Link
from common.tests.worker_process import SECONDS, sample, wait_until

if TYPE_CHECKING:
    from common.tests.worker_process import World

pytestmark = pytest.mark.integration
# Heartbeats end no connection while a test waits: of a worker the broker makes it 60 s, and two must be missed.
LATE_HEARTBEAT_SECONDS = 300
MALFORMED = {
    "a length beyond every bound": pack(">BHI", 1, 1, 0x7FFFFFFF) + b"malformed",
    "an unknown type": pack(">BHI", 77, 0, 8) + b"malformed",
    "a frame that does not go on": pack(">BHI", 1, 1, 100_000) + b"malformed",
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_worker_closes_the_connection_and_reconnects(world: World, data: bytes) -> None:
    assert FRAME_SECONDS < HEARTBEAT_SECONDS
    late = {"SAMPLE_HEARTBEAT_SECONDS": str(LATE_HEARTBEAT_SECONDS)}
    with Link(world.broker_url) as link, world.worker(RABBITMQ_URL=link.url, **late):
        # Once it has handled an event, it waits in its loop; before that it may wait for a reply, which no bound ends.
        first = world.publish(sample("sample.fine.v1"))
        wait_until(lambda: world.count("effects", first) == 1)
        connections = link.connections
        link.inject(data)
        wait_until(lambda: link.connections > connections)
        second = world.publish(sample("sample.fine.v1"))
        wait_until(lambda: world.count("effects", second) == 1)


def test_messages_that_arrive_at_once_are_all_handled(world: World) -> None:
    """More than one `recv` returns, small and large: most end in the middle of what was received."""
    sizes = [3 * RECEIVE_BYTES if number % 8 == 0 else 37 * number for number in range(40)]
    with Link(world.broker_url) as link, world.worker(RABBITMQ_URL=link.url, EVENT_BATCH_SIZE="64"):
        first = world.publish(sample("sample.fine.v1"))
        wait_until(lambda: world.count("effects", first) == 1)
        link.freeze()
        events = [replace(sample("sample.fine.v1"), id=new_id(), data={"text": "x" * size}) for size in sizes]
        for event in events:
            world.publish(event)
        link.restore()
        wait_until(lambda: all(world.count("effects", event.id) == 1 for event in events))


def test_an_interrupted_reader_leaves_no_message_behind(vhost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was received ahead is not in the socket any more, so nothing wakes a loop for it."""
    monkeypatch.setattr(pyamqp.Transport, "Connection", BoundedConnection)
    seen: list[Any] = []

    def take(message: Any) -> None:
        seen.append(message.body)
        if len(seen) == 1:
            raise TimeoutError("of something that the callback waited for")

    with kombu.Connection(vhost) as connection:
        channel: Any = connection.channel()
        queue = kombu.Queue("at-once", channel=channel)
        queue.declare()
        with connection.Producer(channel) as producer:
            for number in range(20):
                producer.publish({"number": number}, routing_key=queue.name)
        channel.basic_consume(queue.name, callback=take, no_ack=True)
        bounded = connection.connection

        def turn() -> bool:
            """One turn of an event loop."""
            with suppress(TimeoutError):
                if select([bounded.sock], [], [], 0.05)[0]:
                    bounded.drain_events(timeout=0)
                else:
                    bounded.check_frames()
            return len(seen) == 20

        wait_until(turn)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_publisher_closes_the_connection_and_reconnects(
    vhost: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.messaging.publisher.HEARTBEAT_SECONDS", LATE_HEARTBEAT_SECONDS)
    message = Message(id="1", routing_key="amq.nobody", body=b"{}", content_type="text/plain")
    with Link(vhost) as link:
        publisher = ConfirmedPublisher(link.url, "amq.topic", name="test")
        connect(publisher)
        publisher.publish([message], timeout_seconds=SECONDS)
        link.inject(data)

        def closed() -> bool:
            publisher.idle(0.05)
            return not publisher.is_connected

        wait_until(closed)
        connect(publisher)
        publisher.publish([message], timeout_seconds=SECONDS)
        assert publisher.returned == {"1"}
        publisher.close()
