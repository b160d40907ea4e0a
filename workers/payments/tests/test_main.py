"""The worker as a process, on a real broker, a real database and a real sandbox that is down for a while."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pika
import pytest
from sqlalchemy import text

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE
from common.messaging.relay import headers
from common.storage.postgresql import transaction
from common.tests.ports import free_port
from infrastructure.sandbox.tests.process import KEY
from services.payments.tests.builders import check_books, new_order, place, published_types, reserve
from services.payments.tests.provider_hooks import Crash, crash, interrupted
from workers import SAGA_CONSUMERS
from workers.payments.consumers import HANDLERS
from workers.payments.sweeps import SWEEPS
from workers.payments.tests.event_samples import CANCELLED, PLACED, RESERVED, event

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from common.messaging.events import Event
    from infrastructure.sandbox.tests.process import SandboxProcess
    from services.payments.resources import Resources

SECONDS = 120.0


@pytest.mark.integration
def test_the_worker_charges_waits_for_the_provider_and_refunds(
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
        _wait_until(lambda: published_types(engine, kept) == ["captured"])
        # Twice: a retry may return to the worker's queue between the looks at the queues.
        _wait_until(lambda: _waiting(vhost) == _waiting(vhost) == 0)
    finally:
        worker.terminate()
        ended = worker.wait(SECONDS)
    assert ended == 0
    check_books(engine, sandbox, kept)
    check_books(engine, sandbox, undone)


@pytest.mark.integration
def test_the_worker_settles_unfinished_payments_and_releases_its_leases(
    engine: Engine, database_url: str, vhost: str, sandbox: SandboxProcess, resources: Resources
) -> None:
    topology.declare(vhost, {context: HANDLERS if context == "payments" else [] for context in SAGA_CONSUMERS})
    order = new_order()
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), order)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE payments SET updated_at = updated_at - make_interval(mins => 10)"))
    worker = subprocess.Popen(
        [sys.executable, "-m", "workers.payments.main"], env=_environment(vhost, database_url, sandbox.url)
    )
    try:
        _wait_until(lambda: published_types(engine, order) == ["captured"])
        _wait_until(lambda: _leases(engine) == len(SWEEPS))
        _wait_until(lambda: _is_consumed(vhost))  # from now on it shuts down gracefully on a signal
    finally:
        worker.terminate()
        ended = worker.wait(SECONDS)
    assert (ended, _leases(engine)) == (0, 0)
    check_books(engine, sandbox, order)


def _leases(engine: Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM leases WHERE name LIKE 'sweep.%'")).scalar_one())


def _environment(vhost: str, database_url: str, provider_url: str) -> dict[str, str]:
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    known |= {"RABBITMQ_URL": vhost, "DATABASE_URL": database_url, "LOG_LEVEL": "WARNING"}
    return known | {"METRICS_PORT": str(free_port()), "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": provider_url}


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


def _waiting(vhost: str) -> int:
    """The number of ready messages in the worker's queue, the delay queues and the dead-letter queue."""
    delay_queues = [topology.delay_exchange(seconds).name for seconds in topology.RETRY_DELAYS_SECONDS]
    with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
        channel = connection.channel()
        queues = [topology.events_queue("payments"), *delay_queues, topology.DEAD_LETTERS]
        return sum(channel.queue_declare(queue, passive=True).method.message_count for queue in queues)


def _is_consumed(vhost: str) -> bool:
    with pika.BlockingConnection(pika.URLParameters(vhost)) as connection:
        queue = topology.events_queue("payments")
        return bool(connection.channel().queue_declare(queue, passive=True).method.consumer_count)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
