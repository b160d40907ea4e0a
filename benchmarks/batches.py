"""`python -m benchmarks.batches`: one consumer with a backlog, one event per transaction against up to 64, in turn.

A handler does what the contexts' handlers do: inbox row, effect, outbox row. Starts its own servers in
.holdfast-bench-batches. Prints events a second and the processor time of one event, in the worker and in everything
that runs (the servers included), and the medians.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from benchmarks.throwaway_stack import throwaway_stack
from common.messaging import inbox, outbox, topology
from common.messaging.batch_handling import Batching, InboxBatches
from common.messaging.celery_worker import run_worker
from common.messaging.confirms import Message
from common.messaging.events import CONTENT_TYPE, Event, new_id, rfc3339, utc_now
from common.messaging.inbox import once
from common.messaging.publisher import ConfirmedPublisher
from common.messaging.relay import headers
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.settings import DatabaseSettings, load
from common.storage.postgresql import autocommit, make_engine, transaction
from infrastructure.local.startup import Extent

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.inbox import Delivery, Work
    from infrastructure.local.stack import Stack

HOME, CONTEXT, TYPE = ".holdfast-bench-batches", "bench", "bench.happened.v1"
SIZES = (1, 64)
PUBLISHED_AT_ONCE, CONFIRM_SECONDS = 500, 30.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DatabaseSettings):
    """What the worker of this benchmark reads."""


@dataclass(frozen=True, slots=True)
class Figures:
    events_per_second: float
    worker_ms: float
    all_ms: float


def handle(delivery: Delivery, work: Work) -> None:
    with once(work, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})
        outbox.add(connection, replace(delivery.event, id=new_id()))


def run() -> None:
    """The worker."""
    settings = load(Settings)
    configure_logging("worker-bench", settings.log_level)
    engine = make_engine(
        settings.database_url, pool_size=settings.worker_threads, timeout_seconds=10, name="worker-bench"
    )
    handlers = {TYPE: handle}
    batching = Batching(InboxBatches(engine, handlers).handle, settings.event_batch_size)
    run_worker(CONTEXT, handlers, engine, settings, probes={}, batching=batching)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port-base", type=int, default=8850)
    arguments = parser.parse_args()
    figures: dict[int, list[Figures]] = {size: [] for size in SIZES}
    with throwaway_stack(HOME, arguments.port_base, Extent.SERVERS) as stack:
        broker_url = stack.urls.rabbitmq.partition(";")[0]
        topology.declare(broker_url, {CONTEXT: [TYPE]})
        for _ in range(arguments.rounds):
            for size in SIZES:
                figures[size].append(measure(stack, broker_url, size, arguments.events))
                print(f"up to {size:2} at once: {_shown(figures[size][-1])}")
    for size in SIZES:
        medians = [
            statistics.median(getattr(each, name) for each in figures[size])
            for name in ("events_per_second", "worker_ms", "all_ms")
        ]
        print(f"median, up to {size:2} at once: {_shown(Figures(*medians))}")


def measure(stack: Stack, broker_url: str, size: int, events: int) -> Figures:
    """Put the events into the queue, start a worker, and wait until each has had its effect."""
    engine = _new_database(stack.urls.postgres_administrator)
    _publish(broker_url, events)
    variables = {
        "RABBITMQ_URL": broker_url,
        "DATABASE_URL": engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
        "EVENT_BATCH_SIZE": str(size),
        "LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-c", "from benchmarks.batches import run; run()"]
    process = subprocess.Popen(command, env=os.environ | variables)
    try:
        first = _wait_for_effects(engine, 1)
        began, worker, everything = time.monotonic(), _processor_seconds(process.pid), _machine_seconds()
        handled = _wait_for_effects(engine, events) - first
        seconds = time.monotonic() - began
        return Figures(
            handled / seconds,
            1000 * (_processor_seconds(process.pid) - worker) / handled,
            1000 * (_machine_seconds() - everything) / handled,
        )
    finally:
        process.terminate()
        process.wait()
        engine.dispose()


def _new_database(admin_url: str) -> Engine:
    name = f"bench_{secrets.token_hex(4)}"
    admin = make_engine(admin_url, pool_size=1, timeout_seconds=30, name="bench")
    with autocommit(admin) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = make_engine(f"{admin_url.rpartition('/')[0]}/{name}", pool_size=1, timeout_seconds=30, name="bench")
    with transaction(engine) as connection:
        for schema in (inbox.SCHEMA_V1, outbox.SCHEMA_V1, "CREATE TABLE effects (event_id uuid NOT NULL)"):
            connection.execute(text(schema))
    return engine


def _publish(broker_url: str, count: int) -> None:
    publisher = ConfirmedPublisher(broker_url, topology.EVENTS.name, name="bench")
    for start in range(0, count, PUBLISHED_AT_ONCE):
        messages = [_message() for _ in range(start, min(count, start + PUBLISHED_AT_ONCE))]
        if len(publisher.publish(messages, timeout_seconds=CONFIRM_SECONDS)) < len(messages):
            raise SystemExit("the broker did not confirm all events")
    publisher.close()


def _message() -> Message:
    event_id = new_id()
    event = Event(
        id=event_id,
        source="/bench",
        type=TYPE,
        subject=event_id,
        time=rfc3339(utc_now()),
        sequence=1,
        correlationid=event_id,
        data={"order_id": event_id, "items": [{"sku": "TEA", "quantity": 1}]},
    )
    known = headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)
    return Message(event.id, TYPE, event.to_json().encode(), CONTENT_TYPE, dict(known))


def _wait_for_effects(engine: Engine, expected: int) -> int:
    while True:
        with autocommit(engine) as connection:
            found = int(connection.execute(text("SELECT count(*) FROM effects")).scalar_one())
        if found >= expected:
            return found
        time.sleep(0.05)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def _machine_seconds() -> float:
    """What all processors have worked, idling and waiting for a disk left out."""
    user, nice, system = (int(each) for each in Path("/proc/stat").read_text(encoding="ascii").split()[1:4])
    return (user + nice + system) / CLOCK_TICKS


def _shown(figures: Figures) -> str:
    return (
        f"{figures.events_per_second:6.0f} events/s, {figures.worker_ms:.2f} ms of the worker and "
        f"{figures.all_ms:.2f} ms of the machine for an event"
    )


if __name__ == "__main__":
    main()
