"""The operations worker as a process with its own broker and store, and their state for tests."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pika

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE, Event, new_id, rfc3339, utc_now
from common.messaging.publisher import BrokerDownError, ConfirmedPublisher
from common.messaging.raw_message import RawMessage
from common.messaging.relay import headers
from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.tests.ports import free_port
from services.operations import migrations, usecases
from workers.operations.replaying import Replayer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE = topology.events_queue("sample")
SECONDS = 60.0


class OperationsWorker:
    """Publishes dead letters in every possible way, and reads the stored ones."""

    def __init__(self, broker_url: str, store_url: str) -> None:
        self.broker_url, self.store_url = broker_url, store_url
        topology.declare(broker_url, {"sample": ["sample.fine.v1"], "other": ["#"]})
        self.database = connect(store_url, timeout_seconds=SECONDS, name="test-operations", pool_size=4)
        upgrade(migrations, self.database, wait_seconds=SECONDS)
        parameters = pika.URLParameters(broker_url)
        parameters.heartbeat = 0
        self._connection = pika.BlockingConnection(parameters)
        self.channel = self._connection.channel()

    def close(self) -> None:
        self._connection.close()
        self.database.client.close()

    def bury(self, event: Event, **changes: Any) -> Event:
        """Dead-letter the event like a consumer that could not handle it."""
        fields = {
            "holdfast-attempt": 4,
            "holdfast-reason": "attempts_exhausted",
            "holdfast-error-class": "builtins.RuntimeError",
            "holdfast-error": "a bug",
            "holdfast-traceback": "Traceback ...\nRuntimeError: a bug",
            "holdfast-queue": QUEUE,
            "holdfast-failed-at": rfc3339(utc_now()),
        } | changes
        known: dict[str, Any] = dict(
            headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)
        )
        properties = pika.BasicProperties(content_type=CONTENT_TYPE, headers=known | fields, delivery_mode=2)
        self.channel.basic_publish(topology.DEAD.name, QUEUE, event.to_json().encode(), properties)
        return event

    def publish(self, queue: str, body: bytes, **properties: Any) -> None:
        """Publish directly to a queue."""
        self.channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **properties))

    def reject(self, body: bytes, **properties: Any) -> None:
        """Reject a malformed message like a worker."""
        self.publish(QUEUE, body, **properties)
        self.channel.basic_reject(self.take().method.delivery_tag, requeue=False)

    def crash_on(self, event: Event) -> None:
        """Redeliver the message until it exceeds the delivery limit."""
        self.publish(QUEUE, event.to_json().encode(), content_type=CONTENT_TYPE)
        self.exhaust()

    def exhaust(self) -> None:
        for _ in range(topology.DELIVERY_LIMIT + 1):
            self.channel.basic_nack(self.take().method.delivery_tag, requeue=True)

    def take(self, queue: str = QUEUE) -> Any:
        """The next message of a queue: `method`, `properties`, `body`."""
        found: list[Any] = []

        def poll() -> bool:
            method, properties, body = self.channel.basic_get(queue)
            if method is not None:
                found.append(Delivered(method, properties, body))
            return method is not None

        wait_until(poll)
        return found[0]

    def waiting(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def letters(self, **criteria: Any) -> list[dict[str, Any]]:
        return list(self.database["letters"].find(criteria).sort("_id", 1))

    def letter(self, **criteria: Any) -> dict[str, Any]:
        """Wait for the matching dead letter."""
        wait_until(lambda: bool(self.letters(**criteria)))
        [found] = self.letters(**criteria)
        return found

    @contextmanager
    def here(self) -> Iterator[None]:
        """Do the process's work in a thread, without Celery and without delay."""
        stop = threading.Event()
        failures: list[BaseException] = []
        thread = threading.Thread(target=self._work, args=(stop, failures))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(SECONDS)
            assert not failures, failures

    def _work(self, stop: threading.Event, failures: list[BaseException]) -> None:
        connection = pika.BlockingConnection(pika.URLParameters(self.broker_url))
        channel = connection.channel()
        publisher = ConfirmedPublisher(self.broker_url, "", name="test replays")
        replayer = Replayer(self.database, publisher)
        try:
            while not stop.wait(0.01):
                method, properties, body = channel.basic_get(topology.DEAD_LETTERS)
                if method is not None:
                    usecases.file_letter(self.database, _raw(method, properties, body))
                    channel.basic_ack(method.delivery_tag or 0)
                else:
                    with suppress(BrokerDownError):  # a busy broker is tried again, as `Replayer.run` does
                        replayer.step()
        except BaseException as error:  # noqa: BLE001 - passed to the test
            failures.append(error)
        publisher.close()
        connection.close()

    @contextmanager
    def worker(self, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        known = {
            "RABBITMQ_URL": self.broker_url,
            "MONGODB_URL": self.store_url,
            "MONGODB_TIMEOUT_SECONDS": "1",
            "METRICS_PORT": str(free_port()),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.operations.main"], env={**os.environ, **known, **variables}
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _raw(method: Any, properties: Any, body: Any) -> RawMessage:
    return RawMessage(
        body=body,
        routing_key=method.routing_key,
        headers=properties.headers or {},
        content_type=properties.content_type,
        content_encoding=properties.content_encoding,
    )


class Delivered:
    def __init__(self, method: Any, properties: Any, body: Any) -> None:
        self.method, self.properties, self.body = method, properties, body


def sample(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "id": new_id(),
        "source": "/services/sample",
        "type": "sample.fine.v1",
        "subject": "s-1",
        "time": rfc3339(utc_now()),
        "sequence": 1,
        "correlationid": "c-1",
        "orderid": "o-1",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "data": {"n": 1},
    }
    return Event(**(values | changes))


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
