"""Malformed bytes on a connection from a real broker: it is closed sooner than by heartbeats."""

from __future__ import annotations

import time
from struct import pack
from typing import TYPE_CHECKING

import pytest

from common.messaging.bounded_frames import FRAME_SECONDS
from common.messaging.confirms import Message
from common.messaging.publisher import HEARTBEAT_SECONDS, ConfirmedPublisher
from common.tests.tcp_proxy import Link
from common.tests.worker_process import sample, wait_until

if TYPE_CHECKING:
    from common.tests.worker_process import World

pytestmark = pytest.mark.integration
# Two missed heartbeats are noticed after twice this time at the earliest.
BOUND_SECONDS = HEARTBEAT_SECONDS * 1.4
MALFORMED = {
    "a length beyond every bound": pack(">BHI", 1, 1, 0x7FFFFFFF) + b"malformed",
    "an unknown type": pack(">BHI", 77, 0, 8) + b"malformed",
    "a frame that does not go on": pack(">BHI", 1, 1, 100_000) + b"malformed",
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_worker_closes_the_connection_and_reconnects(world: World, data: bytes) -> None:
    assert FRAME_SECONDS < BOUND_SECONDS
    with Link(world.broker_url) as link, world.worker(RABBITMQ_URL=link.url):
        wait_until(lambda: world.has_consumer)
        connections, started = link.connections, time.monotonic()
        link.inject(data)
        wait_until(lambda: link.connections > connections)
        assert time.monotonic() - started < BOUND_SECONDS
        event_id = world.publish(sample("sample.fine.v1"))
        wait_until(lambda: world.count("effects", event_id) == 1)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_publisher_closes_the_connection_and_reconnects(vhost: str, data: bytes) -> None:
    message = Message(id="1", routing_key="amq.nobody", body=b"{}", content_type="text/plain")
    with Link(vhost) as link:
        publisher = ConfirmedPublisher(link.url, "amq.topic", name="test")
        publisher.publish([message], timeout_seconds=10)
        started = time.monotonic()
        link.inject(data)
        while publisher.is_connected:
            publisher.idle(0.05)
            assert time.monotonic() - started < BOUND_SECONDS
        publisher.publish([message], timeout_seconds=10)
        assert publisher.returned == {"1"}
        publisher.close()
