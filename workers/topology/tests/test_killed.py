"""The topology job and the broker are killed before a new queue is persisted: the next run completes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pika
import pytest
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker

from infrastructure.local.ports import free_port_base
from infrastructure.local.stack import Stack
from infrastructure.local.startup import Extent
from workers.topology.main import BINDINGS
from workers.topology.tests.test_main import run_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SECONDS = 60.0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    """Separate servers, because one of them is killed."""
    home = tmp_path / "home"
    stack = Stack(home, free_port_base(home))
    stack.up(Extent.SERVERS)
    yield stack
    stack.down(delete_data=True)


def opened(url: str) -> pika.BlockingConnection:
    """Connect as soon as the broker accepts connections."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return pika.BlockingConnection(pika.URLParameters(url))
        except (AMQPError, AMQPConnectorException, OSError):  # the second is a slow handshake, which is no AMQPError
            assert time.monotonic() < deadline
            time.sleep(0.2)


def await_queue(url: str, queue: str) -> None:
    with opened(url) as connection:
        deadline = time.monotonic() + SECONDS
        while True:
            assert time.monotonic() < deadline
            try:
                connection.channel().queue_declare(queue, passive=True)
            except ChannelClosedByBroker:
                continue
            return


def test_a_queue_without_a_leader_is_declared_again(own: Stack) -> None:
    url = own.urls.rabbitmq
    last = list(BINDINGS)[-1]
    job = run_job(url)
    await_queue(url, f"{last}.events")
    job.kill()
    own.kill("rabbitmq")
    job.communicate()
    opened(url).close()
    output, _ = run_job(url).communicate(timeout=2 * SECONDS)
    assert f"declared {last}.events" in output
    with opened(url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        connection.call_later(SECONDS, connection.close)  # without a leader nothing is confirmed
        for queue in (f"{context}.events" for context in BINDINGS):
            channel.basic_publish("", queue, b"body", pika.BasicProperties(delivery_mode=2), mandatory=True)
