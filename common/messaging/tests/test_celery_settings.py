"""Workers that share a host, or reconnect before the broker has closed their old connection."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING

import pika
import pytest

from common.messaging import topology
from common.tests.ports import free_port
from common.tests.worker_process import World, sample, wait_until

if TYPE_CHECKING:
    from common.messaging.events import Event

pytestmark = pytest.mark.integration
QUEUE = topology.events_queue("sample")
REFUSED_SECONDS = 6  # a worker that gives up ends earlier


def consumers(world: World) -> int:
    return int(world.channel.queue_declare(QUEUE, passive=True).method.consumer_count)


def published(world: World) -> Event:
    event = sample("sample.fine.v1")
    world.publish(event)
    return event


def test_two_workers_of_one_context_run_on_one_host(world: World) -> None:
    with world.worker() as first, world.worker(METRICS_PORT=str(free_port())) as second:
        wait_until(lambda: consumers(world) == 2)
        assert (first.poll(), second.poll()) == (None, None)


def test_a_worker_waits_while_the_broker_keeps_its_last_connection(world: World) -> None:
    last = pika.BlockingConnection(pika.URLParameters(world.broker_url))
    name = f"sample@{socket.gethostname()}-{world.metrics_port}.celery.pidbox"
    last.channel().queue_declare(name, exclusive=True, auto_delete=True)
    with world.worker() as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(REFUSED_SECONDS)
        last.close()
        event = published(world)
        wait_until(lambda: world.count("effects", event.id) == 1)
        assert process.poll() is None
