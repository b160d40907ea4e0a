"""Which messages an acknowledgement settles, on a real broker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from kombu import Connection, Consumer, Producer, Queue

from common.messaging.acknowledging import Acknowledger

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration
QUEUE = Queue("q", durable=True)
SECONDS = 60


class Delivered:
    """Messages that one channel has delivered, and the acknowledgements that went over it."""

    def __init__(self, connection: Connection) -> None:
        self.channel = cast("Any", connection.channel())
        self.messages: list[Any] = []
        self.sent: list[tuple[int, bool]] = []
        self.acknowledger = Acknowledger(connection.connection_errors)
        acknowledge = self.channel.basic_ack

        def record(tag: int, multiple: bool = False) -> None:
            self.sent.append((tag, multiple))
            acknowledge(tag, multiple=multiple)

        self.channel.basic_ack = record
        Consumer(self.channel, [QUEUE], accept=["text/plain"], on_message=self._receive).consume()

    def _receive(self, message: Any) -> None:
        self.messages.append(message)
        self.acknowledger.received(message)

    def acknowledge(self, *indexes: int) -> None:
        self.acknowledger.acknowledge([self.messages[index] for index in indexes])


@contextmanager
def delivered(vhost: str, count: int) -> Iterator[Delivered]:
    with Connection(vhost, connect_timeout=SECONDS) as connection:
        found = Delivered(connection)
        while len(found.messages) < count:
            connection.drain_events(timeout=SECONDS)
        yield found


def publish(vhost: str, count: int) -> None:
    confirmed = {"confirm_publish": True}
    with Connection(vhost, connect_timeout=SECONDS, transport_options=confirmed) as connection:
        QUEUE(connection.default_channel).declare()
        for number in range(count):
            Producer(connection.default_channel).publish(str(number), routing_key="q", content_type="text/plain")


def left(vhost: str, count: int) -> list[str]:
    """What the broker still has, once the channel is gone."""
    with delivered(vhost, count) as found:
        return [message.body for message in found.messages]


def test_a_whole_batch_is_acknowledged_by_one_frame(vhost: str) -> None:
    publish(vhost, 5)
    with delivered(vhost, 5) as found:
        found.acknowledge(3, 1, 0, 2)
        assert found.sent == [(4, True)]
    assert left(vhost, 1) == ["4"]


def test_unsettled_messages_below_are_not_acknowledged(vhost: str) -> None:
    publish(vhost, 6)
    with delivered(vhost, 6) as found:
        found.acknowledge(0, 2, 3)
        assert found.sent[0] == (1, True)
        assert sorted(found.sent[1:]) == [(3, False), (4, False)]
    assert left(vhost, 3) == ["1", "4", "5"]


def test_messages_settled_elsewhere_are_skipped(vhost: str) -> None:
    publish(vhost, 5)
    with delivered(vhost, 5) as found:
        found.messages[1].ack()
        found.messages[2].reject()
        found.acknowledge(0, 3)
        assert found.sent[1:] == [(4, True)]
    assert left(vhost, 1) == ["4"]


def test_nothing_is_acknowledged_twice(vhost: str) -> None:
    publish(vhost, 3)
    with delivered(vhost, 3) as found:
        found.acknowledge(0, 1)
        found.acknowledge(0, 1)
        found.acknowledge(2)
        assert found.sent == [(2, True), (3, True)]


def test_a_message_of_an_earlier_channel_is_not_acknowledged_on_a_later_one(vhost: str) -> None:
    publish(vhost, 2)
    with delivered(vhost, 2) as earlier:
        messages = earlier.messages
    with delivered(vhost, 2) as later:
        later.acknowledger.acknowledge(messages)
        assert later.sent == []
    assert left(vhost, 2) == ["0", "1"]
