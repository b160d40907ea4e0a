"""New quorum queues: a declaration that was interrupted is begun again, so that no queue is left unbound or unusable.

A broker that is killed on all its nodes before it has written down which log belongs to a new queue starts that queue
without a leader: whatever is bound to it is never confirmed. So a new queue has a mark, an exchange of its own, from
before it is declared until just before anything is bound to it. Who finds the mark knows that nothing was ever routed
to that queue, deletes it and begins again. One does this at a time: who deletes must not meet who binds.
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
    """Another one declares queues, and does not come to an end."""

    code = "topology_busy"


@contextmanager
def one_at_a_time(connection: Connection, *, wait_seconds: float) -> Iterator[None]:
    """Hold the lock, an exclusive queue: it ends with its connection, so with the process as well."""
    deadline = time.monotonic() + wait_seconds
    while not _succeeds(connection, lambda channel: channel.queue_declare(LOCK, exclusive=True), ResourceLocked):
        if time.monotonic() > deadline:
            raise BusyError("somebody else declares queues")
        time.sleep(LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        _channel(connection).queue_delete(LOCK)


def declare(connection: Connection, queues: Sequence[Queue]) -> list[Queue]:
    """Declare what is not there, or was not finished; return the new ones, to which nothing may be bound yet."""
    new = [queue for queue in queues if _is_new(connection, queue)]
    channel = _channel(connection)
    for queue in new:
        _mark(queue)(channel).declare()
        channel.queue_delete(queue.name)
    for queue in queues:
        queue(channel).queue_declare()
    return new


def finish(connection: Connection, new: Sequence[Queue]) -> None:
    """Take the marks away: the queues have settled, and are about to be bound."""
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
    """Whether it succeeds; a refusal costs the channel."""
    channel: Any = connection.channel()
    try:
        act(channel)
    except refusal:
        return False
    channel.close()
    return True
