"""Whether a worker is subscribed to its queue, seen from the broker."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pika

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def consumers_of(queue: str, broker_url: str) -> Iterator[Callable[[], int]]:
    """Yield a function that returns how many consumers the queue has now. A paused worker is none."""
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    channel = connection.channel()
    try:
        yield lambda: int(channel.queue_declare(queue, passive=True).method.consumer_count)
    finally:
        connection.close()
