"""New quorum queues: an interrupted declaration is repeated, so that no queue is left unbound or unusable.

If all nodes of a broker are killed before they have stored which log belongs to a new queue, that queue starts without
a leader: messages routed to it are never confirmed. So a new queue has a marker, an exchange of its own, from before
its declaration until just before it is bound. If the marker exists, the queue never received a message: it is deleted
and declared again. One process at a time does this: a deletion must not race with a binding.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from amqp.exceptions import NotFound, ResourceLocked
from kombu import Exchange

from common.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kombu import Connection, Queue

LOCK = "holdfast.topology"
LOCK_PAUSE_SECONDS = 0.2


class BusyError(Unavailable):
    """Another process declares queues and does not finish."""

    code = "topology_busy"


@contextmanager
def one_at_a_time(connection: Connection, *, wait_seconds: float) -> Iterator[None]:
    """Hold the lock, an exclusive queue: it is released with its connection, and so with the process."""
    deadline = time.monotonic() + wait_seconds
    while not _succeeds(connection, lambda channel: channel.queue_declare(LOCK, exclusive=True), ResourceLocked):
        if time.monotonic() > deadline:
            raise BusyError("another process declares queues")
        time.sleep(LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        _channel(connection).queue_delete(LOCK)


def declare(connection: Connection, queues: Sequence[Queue]) -> list[Queue]:
    """Declare missing or unfinished queues; returns the new ones, which must not be bound yet."""
    new = [queue for queue in queues if _is_new(connection, queue)]
    channel = _channel(connection)
    for queue in new:
        _mark(queue)(channel).declare()
        channel.queue_delete(queue.name)
    for queue in queues:
        queue(channel).queue_declare()
    return new


def finish(connection: Connection, new: Sequence[Queue]) -> None:
    """Remove the markers: the queues have settled, and are about to be bound."""
    for queue in new:
        _channel(connection).exchange_delete(_mark(queue).name)


def _is_new(connection: Connection, queue: Queue) -> bool:
    is_marked = _succeeds(connection, lambda channel: _mark(queue)(channel).declare(passive=True), NotFound)
    return is_marked or not _succeeds(
        connection, lambda channel: channel.queue_declare(queue.name, passive=True), NotFound
    )


def _channel(connection: Connection) -> Any:
    return connection.default_channel


def _mark(queue: Queue) -> Exchange:
    return Exchange(f"holdfast.new.{queue.name}", type="fanout", durable=True)


def _succeeds(connection: Connection, act: Callable[[Any], object], refusal: type[Exception]) -> bool:
    """Whether it succeeds; a refusal closes the channel."""
    channel: Any = connection.channel()
    try:
        act(channel)
    except refusal:
        return False
    channel.close()
    return True
