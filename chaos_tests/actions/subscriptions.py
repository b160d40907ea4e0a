"""Whether a worker is subscribed to its queue, from the broker's view."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pika

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def consumers_of(queue: str, broker_url: str) -> Iterator[Callable[[], int]]:
    """Yield a function that returns the queue's current number of consumers. A paused worker does not count."""
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    channel = connection.channel()
    try:
        yield lambda: int(channel.queue_declare(queue, passive=True).method.consumer_count)
    finally:
        connection.close()
