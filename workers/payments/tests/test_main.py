"""The worker as a process, on a real broker, a real database and a real sandbox that is away for a while."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pika
import pytest

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE
from common.messaging.relay import headers
from infrastructure.sandbox.tests.process import KEY, free_port
from services.payments.tests.till import check_books, new_order, told
from workers.payments.consumers import HANDLERS
from workers.payments.tests.heard import CANCELLED, PLACED, RESERVED, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from common.messaging.events import Event
    from infrastructure.sandbox.tests.process import SandboxProcess

SECONDS = 30.0


@pytest.mark.integration
def test_it_charges_waits_for_the_provider_and_gives_back(
    engine: Engine, database_url: str, vhost: str, sandbox: SandboxProcess
) -> None:
    topology.declare(vhost, {"payments": HANDLERS})
    kept, undone = new_order(), new_order()
    sandbox.set_faults({"kind": "error", "status": 503, "remaining": 4})
    _publish(vhost, *(event(kind, order) for kind in (RESERVED, PLACED) for order in (kept, undone)))
    _publish(vhost, event(CANCELLED, undone))
    environment = _environment(vhost, database_url, sandbox.url)
    worker = subprocess.Popen([sys.executable, "-m", "workers.payments.main"], env=environment)
    try:
        _wait_until(lambda: told(engine, kept) == ["captured"])
        _wait_until(lambda: _waiting(vhost) == 0)
    finally:
        worker.terminate()
        ended = worker.wait(SECONDS)
    assert ended == 0
    check_books(engine, sandbox, kept)
    check_books(engine, sandbox, undone)


def _environment(vhost: str, database_url: str, provider_url: str) -> dict[str, str]:
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    known |= {"RABBITMQ_URL": vhost, "DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"}
    return known | {"METRICS_PORT": str(free_port()), "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": provider_url}


def _publish(vhost: str, *events: Event) -> None:
    """As the relay does."""
    with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for published in events:
            known = headers(event_id=published.id, event_type=published.type, correlation_id=published.correlationid)
            properties = pika.BasicProperties(delivery_mode=2, content_type=CONTENT_TYPE, headers=known)
            channel.basic_publish(
                topology.EVENTS.name, published.type, published.to_json().encode(), properties, mandatory=True
            )


def _waiting(vhost: str) -> int:
    """Messages that are ready in any queue: the worker's, a rung's, or dead."""
    rungs = [topology.rung_exchange(seconds).name for seconds in topology.RUNG_SECONDS]
    with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
        channel = connection.channel()
        queues = [topology.events_queue("payments"), *rungs, topology.DEAD_LETTERS]
        return sum(channel.queue_declare(queue, passive=True).method.message_count for queue in queues)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
