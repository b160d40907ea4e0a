"""Republishes an event that its consumer could not handle: to a delay queue, or to the dead-letter exchange.

Both publish with confirms and `mandatory`; only then may the caller acknowledge the original. The original bytes stay
unchanged. Headers that the broker wrote (`x-death` and the like) are dropped: a re-published message that carries
them can stick in a quorum queue's dead-letter buffer.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kombu import Connection, Exchange, Producer

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE, Event, rfc3339, utc_now
from common.messaging.relay import headers as event_headers
from common.resilience.crash_points import crash_point

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTEMPT, REPLAY, UNDECIDED = "holdfast-attempt", "holdfast-replay", "holdfast-undecided-seconds"
CONFIRM_SECONDS = 5.0
MAX_TEXT = 8_000
_BROKER_HEADERS = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it was received: its bytes and its headers."""

    body: str
    headers: dict[str, Any] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """The number of failed attempts before this one."""
        return self._count(ATTEMPT)

    @property
    def undecided_seconds(self) -> int:
        """How long it has waited in delay queues for an external decision, without outages, backlogs or clock
        changes.
        """
        return self._count(UNDECIDED)

    @property
    def was_passed_on(self) -> bool:
        """Whether it is a retry or an operator's replay: its age does not measure the queue."""
        return self.attempt > 0 or self.undecided_seconds > 0 or REPLAY in self.headers

    def _count(self, header: str) -> int:
        value = self.headers.get(header)
        return value if isinstance(value, int) and value >= 0 else 0


class Redelivery:
    """Republishes for one queue, over its own connection. Thread-safe; raises kombu's errors."""

    def __init__(self, broker_url: str, queue: str) -> None:
        # No heartbeat: no thread serves this connection while it is idle. The next publish detects a dead one.
        self._connection = Connection(
            broker_url,
            heartbeat=0,
            connect_timeout=4,
            transport_options={
                "confirm_publish": True,
                # This also bounds waits without their own time-out, such as opening a channel.
                "read_timeout": CONFIRM_SECONDS,
                "write_timeout": CONFIRM_SECONDS,
                "client_properties": {"connection_name": f"{queue} redelivery"},
            },
        )
        self._queue = queue
        self._producer: Producer | None = None
        self._lock = threading.Lock()

    def retry(
        self, message: Incoming, *, failed_attempts: int, delay_seconds: int, error: BaseException | None
    ) -> None:
        """Publish it to a delay queue: it returns only to this queue, after `delay_seconds`."""
        headers = _carried(message.headers) | {ATTEMPT: failed_attempts}
        if error is not None:
            headers |= _error_headers(error)
        self._publish(topology.delay_exchange(delay_seconds), message.body, headers)

    def park_undecided(self, message: Incoming, *, delay_seconds: int, error: BaseException) -> None:
        """Delay it without counting an attempt; adds the delay to its waiting time."""
        waited = {UNDECIDED: message.undecided_seconds + delay_seconds}
        headers = _carried(message.headers) | waited | _error_headers(error)
        self._publish(topology.delay_exchange(delay_seconds), message.body, headers)

    def publish(self, event: Event) -> None:
        """Publish an event of the kit itself; a missing binding is not an error."""
        known = event_headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)
        self._publish(topology.EVENTS, event.to_json(), dict(known), routing_key=event.type, mandatory=False)

    def dead(self, message: Incoming, *, attempts: int, reason: str, error: BaseException, traceback: str) -> None:
        """Publish it to the dead-letter exchange, with its error and history."""
        headers = _carried(message.headers) | {
            ATTEMPT: attempts,
            "holdfast-reason": reason,
            **_error_headers(error),
            "holdfast-traceback": traceback[-MAX_TEXT:],
            "holdfast-queue": self._queue,
            "holdfast-failed-at": rfc3339(utc_now()),
        }
        self._publish(topology.DEAD, message.body, headers)

    def probe(self) -> None:
        """Raise if nothing can be parked now: no connection, an alarm, no delay queue, or no permission to publish.

        The probe's message is confirmed and returned, since no queue is bound to its exchange, so it is stored nowhere.
        A message to a delay queue would return to the consumer, or, with another key, stay for ever (at-least-once
        dead-lettering keeps unroutable messages).
        """
        with self._connected():
            channel: Any = self._connection.channel()
            channel.queue_declare(topology.delay_exchange(topology.RETRY_DELAYS_SECONDS[0]).name, passive=True)
            Producer(channel, on_return=_expect_return).publish(
                b"",
                exchange=topology.PROBE.name,
                content_type="application/octet-stream",
                mandatory=True,
                timeout=CONFIRM_SECONDS,
                confirm_timeout=CONFIRM_SECONDS,
            )
            channel.close()

    def _publish(
        self,
        exchange: Exchange,
        body: str,
        headers: dict[str, Any],
        *,
        routing_key: str | None = None,
        mandatory: bool = True,
    ) -> None:
        crash_point("redelivery.publishing")
        with self._connected():
            self._ready().publish(
                body,
                exchange=exchange.name,
                routing_key=routing_key or self._queue,
                headers=headers,
                content_type=CONTENT_TYPE,
                content_encoding="utf-8",
                delivery_mode=2,
                mandatory=mandatory,
                timeout=CONFIRM_SECONDS,
                confirm_timeout=CONFIRM_SECONDS,
            )
        crash_point("redelivery.published")

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """One at a time; a connection that fails once is not used again."""
        with self._lock:
            try:
                yield
            except BaseException:
                # A late confirm must not be taken for that of the next message.
                self._producer = None
                self._connection.collect(socket_timeout=1)
                # This node of a cluster may still accept connections for a while, and confirm nothing.
                self._connection.maybe_switch_next()
                raise

    def _ready(self) -> Producer:
        if self._producer is None or not self._connection.connected:
            self._connection.collect(socket_timeout=1)
            self._producer = Producer(self._connection.channel())
        return self._producer


def _carried(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if not name.startswith(_BROKER_HEADERS)}


def _expect_return(*_: object) -> None:
    """Without a listener py-amqp raises for a returned message."""


def _error_headers(error: BaseException) -> dict[str, str]:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return {"holdfast-error-class": name, "holdfast-error": str(error)[:MAX_TEXT]}
