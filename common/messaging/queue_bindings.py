"""Changes the bindings of a consumer's queue at run time, for a context with dynamic subscriptions.

Guarantee: one process at a time changes them. The lock is an exclusive queue, so it ends with its connection, and the
changes go through that same connection: a process that was frozen and has lost the lock cannot change bindings. The
topology job declares the queue itself.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqp.exceptions import ResourceLocked
from kombu import Connection

from common.errors import Unavailable
from common.messaging.topology import EVENTS, events_queue

if TYPE_CHECKING:
    from collections.abc import Iterator


class BindingsBusyError(Unavailable):
    """Another process changes the bindings of this queue."""

    code = "bindings_busy"


class QueueBindings:
    """The right to change the bindings of `<context>.events`, while its connection lives."""

    def __init__(self, channel: Any, context: str) -> None:
        self._channel, self._queue = channel, events_queue(context)

    def bind(self, event_type: str) -> None:
        """Bind the queue to that event type; events arrive when this returns. Idempotent."""
        self._channel.queue_bind(self._queue, EVENTS.name, event_type)

    def unbind(self, event_type: str) -> None:
        self._channel.queue_unbind(self._queue, EVENTS.name, event_type)


def lock_name(context: str) -> str:
    return f"holdfast.bindings.{context}"


@contextmanager
def changing(broker_url: str, context: str, *, timeout_seconds: float) -> Iterator[QueueBindings]:
    """Hold the lock. Raises `BindingsBusyError`, and kombu's and amqp's errors."""
    bounds = {"read_timeout": timeout_seconds, "write_timeout": timeout_seconds}
    with Connection(broker_url, connect_timeout=timeout_seconds, transport_options=bounds) as connection:
        connection.connect()
        channel: Any = connection.default_channel
        try:
            channel.queue_declare(lock_name(context), exclusive=True)
        except ResourceLocked:
            raise BindingsBusyError("another process changes the bindings") from None
        yield QueueBindings(channel, context)
