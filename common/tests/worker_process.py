"""A worker process of the tests, with its broker and its database, and what a test asks of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pika
import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from common.messaging import inbox, topology
from common.messaging.events import CONTENT_TYPE, Event, new_id, rfc3339, utc_now
from common.messaging.relay import headers
from common.storage.postgresql import autocommit, make_engine, transaction
from common.tests.ports import free_port
from common.tests.sample_worker import HANDLERS, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE = topology.events_queue("sample")
SECONDS = 60.0


class World:
    """A broker with the topology, a database, and what a test asks of them."""

    def __init__(self, broker_url: str, database_url: str, admin_url: str) -> None:
        self.broker_url, self.database_url, self.admin_url = broker_url, database_url, admin_url
        self.engine: Engine = make_engine(database_url, pool_size=2, timeout_seconds=SECONDS, name="test")
        self.declare()
        parameters = pika.URLParameters(broker_url)
        parameters.heartbeat = 0
        self.metrics_port = free_port()
        self._connection = pika.BlockingConnection(parameters)
        self.channel = self._connection.channel()
        with transaction(self.engine) as connection:
            connection.execute(text(SCHEMA))
            connection.execute(text(inbox.SCHEMA_V1))

    def declare(self) -> None:
        topology.declare(self.broker_url, {"sample": HANDLERS}, timeout_seconds=SECONDS)

    def close(self) -> None:
        self._connection.close()
        self.engine.dispose()

    def publish(self, event: Event, **extra: Any) -> str:
        """As the relay does."""
        known = headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)
        self.publish_raw(event.to_json().encode(), content_type=CONTENT_TYPE, headers=known | extra)
        return event.id

    def publish_raw(self, body: bytes, **properties: Any) -> None:
        self.channel.basic_publish("", QUEUE, body, pika.BasicProperties(delivery_mode=2, **properties))

    def count(self, table: str, event_id: str) -> int:
        query = text(f"SELECT count(*) FROM {table} WHERE event_id = :id")
        with transaction(self.engine) as connection:
            return int(connection.execute(query, {"id": event_id}).scalar_one())

    def switch(self, name: str, *, on: bool = True) -> None:
        """Tell the sample worker's handlers and probes something."""
        statement = "INSERT INTO switches VALUES (:name)" if on else "DELETE FROM switches WHERE name = :name"
        with transaction(self.engine) as connection:
            connection.execute(text(statement), {"name": name})

    def metric(self, name: str) -> float:
        """What the worker's /metrics says now, of the sample consumer; -1 if it does not say it (yet)."""
        try:
            page = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60).text
        except requests.ConnectionError:
            return -1.0
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
        return next((sample.value for sample in samples if sample.name == name), -1.0)

    @property
    def has_consumer(self) -> bool:
        """Wait for it, do not assert it: a quorum queue that does not answer in 250 ms is said to have none."""
        return bool(self.channel.queue_declare(QUEUE, passive=True).method.consumer_count)

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """The database accepts no connection and has ended those there were."""
        name = self.database_url.rpartition("/")[2]
        admin = make_engine(self.admin_url, pool_size=1, timeout_seconds=SECONDS, name="test")
        switch = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
        end = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        with autocommit(admin) as connection:
            connection.execute(text(switch.format(name, "false")))
            connection.execute(end, {"name": name})
        try:
            yield
        finally:
            with autocommit(admin) as connection:
                connection.execute(text(switch.format(name, "true")))
            self.engine.dispose()
            admin.dispose()

    def dead_letter(self) -> tuple[dict[str, Any], bytes]:
        """The headers and the body of the next one."""
        found: list[Any] = []

        def poll() -> bool:
            method, properties, body = self.channel.basic_get(topology.DEAD_LETTERS, auto_ack=True)
            if method is not None:
                found.extend([dict((properties and properties.headers) or {}), body])
            return method is not None

        wait_until(poll)
        return found[0], found[1]

    def waiting(self, queue: str) -> int:
        """0 also if a quorum queue does not answer in 250 ms."""
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    @contextmanager
    def worker(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        environment = os.environ | {
            "RABBITMQ_URL": self.broker_url,
            "DATABASE_URL": self.database_url,
            "DATABASE_TIMEOUT_SECONDS": "60",  # a slow commit is no outage, after which an event is tried once more
            "METRICS_PORT": str(self.metrics_port),
            "LOG_LEVEL": "INFO",
            "EVENT_BATCH_SIZE": "1",
            **variables,
        }
        process = subprocess.Popen([sys.executable, "-m", "common.tests.sample_worker"], env=environment)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.05)


def sample(event_type: str) -> Event:
    return Event(
        id=new_id(),
        source="/services/sample",
        type=event_type,
        subject="s-1",
        time=rfc3339(utc_now()),
        sequence=1,
        correlationid="c-1",
        data={"n": 1},
    )
