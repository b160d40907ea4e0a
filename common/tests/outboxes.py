"""Outboxes, relays and a queue reader on real servers, for the tests of relay and publisher."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import pika
from prometheus_client import REGISTRY
from sqlalchemy import Engine, text

from common.messaging import outbox, topology
from common.messaging.events import Event, from_json, new_id, rfc3339, utc_now
from common.messaging.publisher import BrokerDownError, ConfirmedPublisher
from common.messaging.relay import LEASE_SECONDS, Relay
from common.resilience.circuit_breaker import Breaker
from common.storage import leases
from common.storage.postgresql import autocommit, make_engine, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_QUEUE = topology.events_queue("test")
ROUTED = "thing.happened.v1"
UNROUTABLE = "thing.vanished.v1"
SECONDS = 60.0
_PATIENCE_SECONDS = 60.0  # what a busy machine needs is no outage: after one, events are published again


def make_event(sequence: int = 1, *, event_type: str = ROUTED, subject: str = "thing-1") -> Event:
    return Event(
        id=new_id(),
        source="/services/test",
        type=event_type,
        subject=subject,
        time=rfc3339(utc_now()),
        sequence=sequence,
        correlationid="request-1",
        data={"sequence": sequence},
    )


class Outbox:
    """A database with an outbox and leases."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self._of_relays: list[Engine] = []
        self.engine = self.connect()
        with transaction(self.engine) as connection:
            connection.execute(text(outbox.SCHEMA_V1))
            connection.execute(text(outbox.SCHEMA_V2))
            connection.execute(text(leases.SCHEMA_V1))
        with autocommit(self.engine) as connection:
            for ddl in outbox.INDEXES_V2:
                connection.execute(text(ddl))

    def connect(self) -> Engine:
        return make_engine(self.url, pool_size=4, timeout_seconds=_PATIENCE_SECONDS, name="test")

    def connect_relay(self) -> Engine:
        """An engine like a relay's: with one connection and no other user."""
        made = make_engine(self.url, pool_size=1, timeout_seconds=_PATIENCE_SECONDS, name="relay")
        self._of_relays.append(made)
        return made

    def add(self, *events: Event) -> None:
        with transaction(self.engine) as connection:
            outbox.add(connection, *events)

    def fill(self, count: int) -> list[Event]:
        events = [make_event(number) for number in range(1, count + 1)]
        self.add(*events)
        return events

    def waiting(self) -> list[str]:
        with transaction(self.engine) as connection:
            return list(connection.execute(text("SELECT event_id::text FROM outbox ORDER BY position")).scalars())

    def set_aside(self) -> list[str]:
        with transaction(self.engine) as connection:
            query = text("SELECT event_id::text FROM outbox WHERE set_aside_at IS NOT NULL ORDER BY position")
            return list(connection.execute(query).scalars())

    def backlog(self) -> tuple[int, float]:
        """The number of events that wait and are not set aside, and the age of the oldest, read from the table."""
        query = "SELECT count(*), extract(epoch FROM clock_timestamp() - min(created_at)) FROM outbox"
        with transaction(self.engine) as connection:
            count, seconds = connection.execute(text(f"{query} WHERE set_aside_at IS NULL")).one()
        return int(count), float(seconds or 0)

    def holder(self) -> str | None:
        with transaction(self.engine) as connection:
            return connection.execute(text("SELECT holder FROM leases")).scalar_one_or_none()

    def close(self) -> None:
        for engine in (self.engine, *self._of_relays):
            engine.dispose()


class QueueReader:
    """Reads the queue `test.events`, which is bound to one type."""

    def __init__(self, broker_url: str) -> None:
        topology.declare(broker_url, {"test": [ROUTED]}, timeout_seconds=SECONDS)
        parameters = pika.URLParameters(broker_url)
        parameters.heartbeat = 0
        self._connection = pika.BlockingConnection(parameters)
        self.channel = self._connection.channel()
        self.properties: list[Any] = []
        self.received: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def read(self) -> list[str]:
        """The ids of all events received so far, in order.

        A message of its own shows the end of what is in the queue now: a pause between two messages would not.
        """
        end = new_id()
        self.channel.basic_publish("", _QUEUE, b"", pika.BasicProperties(message_id=end, delivery_mode=2))
        for method, properties, body in self.channel.consume(_QUEUE, inactivity_timeout=SECONDS):
            assert method is not None, "the broker does not answer"
            assert properties is not None
            assert body is not None
            self.channel.basic_ack(method.delivery_tag or 0)  # a quorum queue sends 2,000 without it, no more
            if properties.message_id == end:
                break
            self.properties.append(properties)
            self.received.append(from_json(body))
        self.channel.cancel()  # what came after it goes back
        return [event.id for event in self.received]


def make_relay(
    box: Outbox,
    broker_url: str,
    holder: str = "relay-a",
    engine: Engine | None = None,
    *,
    lease_seconds: float = LEASE_SECONDS,
    confirm_seconds: float = _PATIENCE_SECONDS,
) -> Relay:
    """A relay with the metrics of the database `holder`."""
    return Relay(
        holder,
        engine or box.connect_relay(),
        make_publisher(broker_url, holder),
        holder,
        broker=Breaker("broker", max_failures=1),
        lease_seconds=lease_seconds,
        confirm_seconds=confirm_seconds,
    )


def make_publisher(broker_url: str, name: str = "test") -> ConfirmedPublisher:
    return ConfirmedPublisher(broker_url, topology.EVENTS.name, name=name)


def connect(publisher: ConfirmedPublisher) -> None:
    """Connect to a healthy broker, with all the time that it needs beside busy processors."""
    deadline = time.monotonic() + SECONDS
    while not publisher.is_connected:
        try:
            publisher.connect()
        except BrokerDownError:
            assert time.monotonic() < deadline


@contextmanager
def running(relay: Relay, wake: Callable[[], object] = lambda: None) -> Iterator[None]:
    """The relay in a thread, which must end soon after a stop and `wake`."""
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        deadline = time.monotonic() + SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            wake()  # again and again: a relay that is about to look into the outbox takes no notice of one
            thread.join(0.5)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def metric(name: str, relay: str = "relay-a") -> float:
    return REGISTRY.get_sample_value(f"holdfast_{name}", {"database": relay}) or 0.0
