"""The relay against raw pika, each alone on the machine: the same messages to the same queue, with confirms.

The relay reads its messages from an outbox and deletes them there. The baseline has them in memory and keeps a window
of unconfirmed ones, as large as the relay's batch. The queue is one that the topology declares, and nobody consumes it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pika

from benchmarks.scratch import outbox_database, virtual_host
from common.messaging import topology
from common.messaging.events import CONTENT_TYPE
from common.messaging.relay import BATCH_ROWS, headers
from common.tests.outboxes import ROUTED, make_event, make_relay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench
    from common.messaging.events import Event
    from common.tests.outboxes import Outbox

MESSAGES, QUICK_MESSAGES = 20_000, 5_000
PORTION = 1_000
QUEUE = topology.events_queue("test")


def measure(bench: Bench) -> None:
    """Messages a second of both, in turn."""
    count = QUICK_MESSAGES if bench.arguments.quick else MESSAGES
    with bench.only_servers(), virtual_host(bench.stack) as broker_url, outbox_database(bench.stack) as box:
        topology.declare(broker_url, {"test": [ROUTED]})
        for _ in range(bench.arguments.rounds):
            events = [make_event(number, subject=f"thing-{number}") for number in range(1, count + 1)]
            bench.figures.add("raw pika: messages/s", count / RawPika(broker_url, events).seconds())
            _purge(broker_url)
            for first in range(0, count, PORTION):
                box.add(*events[first : first + PORTION])
            bench.figures.add("relay: messages/s", count / _relay_seconds(box, broker_url))
            _purge(broker_url)


def _relay_seconds(box: Outbox, broker_url: str) -> float:
    relay = make_relay(box, broker_url)
    started = time.perf_counter()
    while relay.step() or box.backlog()[0]:
        pass
    return time.perf_counter() - started


class RawPika:
    """A publisher that keeps a window of unconfirmed messages, and does nothing else."""

    def __init__(self, broker_url: str, events: Sequence[Event]) -> None:
        self._messages = [(event.type, event.to_json().encode(), _properties(event)) for event in events]
        self._sent = self._confirmed = 0
        self._channel: Any = None
        self._connection = pika.SelectConnection(pika.URLParameters(broker_url), on_open_callback=self._on_open)

    def seconds(self) -> float:
        """The time from the connection to the last confirm."""
        started = time.perf_counter()
        self._connection.ioloop.start()
        seconds = time.perf_counter() - started
        self._connection.close()
        self._connection.ioloop.start()
        return seconds

    def _on_open(self, connection: Any) -> None:
        connection.add_on_close_callback(lambda *_: connection.ioloop.stop())
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._fill())

    def _on_confirm(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        self._confirmed = max(self._confirmed, tag) if frame.method.multiple else self._confirmed + 1
        if self._confirmed >= len(self._messages):
            self._connection.ioloop.stop()
        else:
            self._fill()

    def _fill(self) -> None:
        while self._sent < len(self._messages) and self._sent - self._confirmed < BATCH_ROWS:
            key, body, properties = self._messages[self._sent]
            self._channel.basic_publish(topology.EVENTS.name, key, body, properties, mandatory=True)
            self._sent += 1


def _properties(event: Event) -> pika.BasicProperties:
    known = headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)
    return pika.BasicProperties(
        message_id=event.id, content_type=CONTENT_TYPE, delivery_mode=pika.DeliveryMode.Persistent.value, headers=known
    )


def _purge(broker_url: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    connection.channel().queue_purge(QUEUE)
    connection.close()
