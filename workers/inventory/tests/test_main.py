"""The worker as a process, on a real broker and database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pika
import pytest

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE, from_json
from common.messaging.relay import headers
from common.tests.ports import free_port
from services.inventory.domain import UnknownReservationError
from services.inventory.tests.warehouse import add, check_books, new_order, stock, types
from workers.inventory.consumers import HANDLERS
from workers.inventory.tests.event_samples import CONFIRMED, PLACED, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from common.messaging.events import Event

SECONDS = 60.0
UNKNOWN = f"{UnknownReservationError.__module__}.{UnknownReservationError.__qualname__}"


@pytest.mark.integration
def test_the_worker_reserves_and_sells_an_order(engine: Engine, database_url: str, vhost: str) -> None:
    add(engine, "A", 5)
    order = new_order()
    topology.declare(vhost, {"inventory": HANDLERS})
    unknown = event(CONFIRMED, new_order())
    _publish(vhost, unknown, event(PLACED, order, {"A": 2}))
    worker = subprocess.Popen([sys.executable, "-m", "workers.inventory.main"], env=_environment(vhost, database_url))
    try:
        _wait_until(lambda: types(engine, order) == ["stock.reserved.v1"])
        _publish(vhost, event(CONFIRMED, order))
        _wait_until(lambda: types(engine, order) == ["stock.reserved.v1", "stock.sold.v1"])
        _wait_until(lambda: (unknown.id, UNKNOWN) in _dead_letters(vhost))
    finally:
        worker.terminate()
        ended = worker.wait(SECONDS)
    assert ended == 0
    assert stock(engine, "A") == (3, 0, 2)
    check_books(engine)


def _environment(vhost: str, database_url: str) -> dict[str, str]:
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    known |= {"RABBITMQ_URL": vhost, "DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"}
    return known | {"METRICS_PORT": str(free_port())}


def _publish(vhost: str, *events: Event) -> None:
    """Publish like the relay."""
    with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for published in events:
            known = headers(event_id=published.id, event_type=published.type, correlation_id=published.correlationid)
            properties = pika.BasicProperties(delivery_mode=2, content_type=CONTENT_TYPE, headers=known)
            channel.basic_publish(
                topology.EVENTS.name, published.type, published.to_json().encode(), properties, mandatory=True
            )


def _dead_letters(vhost: str) -> list[tuple[str, str]]:
    """The event id and error class of the next dead letter, if any, without consuming it."""
    with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
        method, properties, body = connection.channel().basic_get(topology.DEAD_LETTERS)
        if method is None or properties is None or body is None:
            return []
        return [(from_json(body).id, str((properties.headers or {})["holdfast-error-class"]))]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
