"""Kafka's producer: idempotent, ordered, with unlimited retries.

Guarantee: `confirmed` is a position up to which all records are on the brokers; a record that Kafka has not accepted
yet waits without a time limit; above `WINDOW` no more are accepted (back-pressure). A permanent error is raised
(`KafkaException`): the process stops, and restarts after the stored position.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, Producer

from common.observability import logs
from workers.bridge import metrics
from workers.bridge.records import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workers.bridge.records import Record

WINDOW = 5_000
_POLL_SECONDS = 0.1
_log = logs.logger(__name__)


class OrderedProducer:
    """Not thread-safe."""

    def __init__(self, brokers: str, options: Mapping[str, Any] | None = None) -> None:
        self._error: KafkaError | None = None
        self._waiting: deque[list[Any]] = deque()  # [position, is confirmed], in order
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "client.id": "holdfast-bridge",
                "enable.idempotence": True,  # no duplicates and no reordering by the client's own retries
                "message.timeout.ms": 0,  # retry for ever: an outage is not an error
                "queue.buffering.max.messages": 100_000,
                "queue.buffering.max.kbytes": 262_144,
                "linger.ms": 5,
                "socket.keepalive.enable": True,
                "reconnect.backoff.max.ms": 2_000,
                "error_cb": self._on_error,
            }
            | dict(options or {})
        )

    @property
    def unconfirmed(self) -> int:
        return len(self._waiting)

    @property
    def lowest_unconfirmed(self) -> int | None:
        return min((position for position, _ in self._waiting), default=None)

    def has_room(self) -> bool:
        return len(self._waiting) < WINDOW

    def give(self, record: Record) -> None:
        entry = [record.position, False]
        self._waiting.append(entry)
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers={"content-type": CONTENT_TYPE},
                    on_delivery=lambda error, _message: self._on_delivery(entry, error),
                )
            except BufferError:  # large events: wait until some are confirmed
                self._producer.poll(_POLL_SECONDS)
            else:
                return

    def poll(self, seconds: float = _POLL_SECONDS) -> None:
        """Receive confirmations. Raises `KafkaException` for a permanent error."""
        self._producer.poll(seconds)
        while self._waiting and self._waiting[0][1]:
            self._waiting.popleft()
        metrics.UNCONFIRMED.set(len(self._waiting))
        if self._error is not None:
            raise KafkaException(self._error)

    def _on_delivery(self, entry: list[Any], error: KafkaError | None) -> None:
        if error is None:
            entry[1] = True
            metrics.PUBLISHED.inc()
        else:
            self._error = self._error or error

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._error = self._error or error
        else:  # it retries automatically
            _log.warning("Kafka", error=str(error)[:200])
