"""Publishing with confirms on a real RabbitMQ, also when the link to it breaks."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.errors import Unavailable, classify
from common.messaging.confirms import Message
from common.messaging.publisher import CONNECT_SECONDS, BrokerDownError, ConfirmedPublisher
from common.observability.logs import configure_logging
from common.tests.outboxes import ROUTED, UNROUTABLE, QueueReader, connect, make_publisher
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration
SECONDS = 60.0  # what a healthy broker may take beside busy processors


@pytest.fixture
def reader(vhost: str) -> Iterator[QueueReader]:
    with QueueReader(vhost) as listening:
        yield listening


@pytest.fixture
def publisher(vhost: str) -> Iterator[ConfirmedPublisher]:
    made = make_publisher(vhost)
    connect(made)
    yield made
    made.close()


def message(number: int, key: str = ROUTED) -> Message:
    return Message(id=f"id-{number}", routing_key=key, body=b"body %d" % number, content_type="text/plain")


def bodies(reader: QueueReader, count: int) -> list[bytes]:
    found = []
    for _method, _properties, body in reader.channel.consume("test.events", auto_ack=True, inactivity_timeout=SECONDS):
        assert body is not None, "it did not arrive"
        found.append(body)
        if len(found) == count:
            break
    reader.channel.cancel()
    return found


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_confirmed_is_in_the_queue_in_order(publisher: ConfirmedPublisher, reader: QueueReader) -> None:
    first = publisher.publish([message(number) for number in range(50)], timeout_seconds=SECONDS)
    second = publisher.publish([message(number) for number in range(50, 60)], timeout_seconds=SECONDS)
    assert first == {f"id-{number}" for number in range(50)}
    assert second == {f"id-{number}" for number in range(50, 60)}
    assert bodies(reader, 60) == [b"body %d" % number for number in range(60)]


def test_an_unroutable_message_is_not_confirmed(publisher: ConfirmedPublisher, reader: QueueReader) -> None:
    batch = [message(1), message(2, UNROUTABLE), message(3)]
    assert publisher.publish(batch, timeout_seconds=SECONDS) == {"id-1", "id-3"}


def test_a_broker_that_refuses_is_an_outage_and_leaks_nothing() -> None:
    refused = make_publisher("amqp://guest:guest@127.0.0.1:1/")
    before = open_files()
    for _ in range(5):
        with pytest.raises(BrokerDownError) as caught:
            refused.connect()
        assert classify(caught.value) is Unavailable
    assert open_files() <= before


def test_a_frozen_broker_times_out(vhost: str, reader: QueueReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the bounds of the publisher, not by heartbeats or by pika's own patience (which is a minute in tests)."""
    monkeypatch.setattr("common.messaging.publisher.HEARTBEAT_SECONDS", 300)
    with Link(vhost) as link:
        publisher = make_publisher(link.url)
        connect(publisher)
        link.freeze()
        started = time.monotonic()
        with pytest.raises(BrokerDownError):
            publisher.publish([message(1)], timeout_seconds=0.5)
        assert time.monotonic() - started < SECONDS
        started = time.monotonic()
        with pytest.raises(BrokerDownError):
            publisher.connect()
        assert time.monotonic() - started < CONNECT_SECONDS + 50
        publisher.close()


def test_it_connects_again_after_the_link_broke(vhost: str, reader: QueueReader) -> None:
    with Link(vhost) as link:
        publisher = make_publisher(link.url)
        connect(publisher)
        link.cut()
        with pytest.raises(BrokerDownError):
            publisher.publish([message(1)], timeout_seconds=5)
        link.restore()
        connect(publisher)
        assert publisher.publish([message(2)], timeout_seconds=SECONDS) == {"id-2"}
        publisher.close()


def test_the_next_node_is_used_if_the_first_does_not_confirm(
    vhost: str, reader: QueueReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.messaging.publisher.CONNECT_SECONDS", SECONDS)  # a healthy node is not left
    with Link(vhost) as first, Link(vhost) as second:
        publisher = make_publisher(f"amqp://guest:guest@127.0.0.1:1/;{first.url};{second.url}")
        assert publisher.publish([message(1)], timeout_seconds=SECONDS) == {"id-1"}
        first.freeze()  # it is there, and confirms nothing
        with pytest.raises(BrokerDownError):
            publisher.publish([message(2)], timeout_seconds=0.3)
        assert publisher.publish([message(2)], timeout_seconds=SECONDS) == {"id-2"}
        second.cut()
        with pytest.raises(BrokerDownError):
            publisher.publish([message(3)], timeout_seconds=5)
        first.restore()
        assert publisher.publish([message(3)], timeout_seconds=SECONDS) == {"id-3"}
        publisher.close()


def test_pikas_messages_about_failed_attempts_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("relay")
    try:
        with pytest.raises(BrokerDownError):
            make_publisher("amqp://guest:guest@127.0.0.1:1/").connect()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "pika" not in capsys.readouterr().out


def test_an_idle_connection_stays_usable(publisher: ConfirmedPublisher, reader: QueueReader) -> None:
    publisher.idle(0.2)
    assert publisher.publish([message(1)], timeout_seconds=SECONDS) == {"id-1"}
