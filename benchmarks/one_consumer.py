"""One consumer against bare Celery, each alone on the machine with a backlog: the same statements per event.

An event costs an inbox row, an effect and an outbox row in one transaction. Bare Celery does that in a task on a
threaded worker with as many threads, a kept connection for each, a classic queue and an early acknowledgement.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg2
from celery import Celery
from kombu import Exchange, Queue
from sqlalchemy import text

from benchmarks.scratch import outbox_database, virtual_host
from common.messaging import inbox, outbox, topology
from common.messaging.batch_handling import Batching, InboxBatches
from common.messaging.celery_worker import run_worker
from common.messaging.confirms import Message
from common.messaging.events import CONTENT_TYPE, new_id
from common.messaging.inbox import once
from common.messaging.relay import headers
from common.messaging.worker_settings import BatchWorkerSettings
from common.observability.logs import configure_logging
from common.settings import DatabaseSettings, load
from common.storage.postgresql import autocommit, make_engine, transaction
from common.tests.outboxes import ROUTED, make_event, make_publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from common.messaging.inbox import Delivery, Work
    from common.tests.outboxes import Outbox

CONTEXT, TASK, BARE_QUEUE = "test", "bench.handle", "bench.bare"
THREADS, PORTION = 4, 500
EVENTS, QUICK_EVENTS = 8_000, 2_000
DONE_SECONDS, CONFIRM_SECONDS = 120.0, 30.0
EFFECTS = "CREATE TABLE effects (event_id uuid NOT NULL)"
INBOX = "INSERT INTO inbox (consumer, event_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
EFFECT = "INSERT INTO effects VALUES (%s)"
OUTBOX = "INSERT INTO outbox (event_id, type, correlation_id, body) VALUES (%s, %s, %s, %s)"


def measure(bench: Bench) -> None:
    """Events a second of both, in turn."""
    count = QUICK_EVENTS if bench.arguments.quick else EVENTS
    with bench.only_servers(), virtual_host(bench.stack) as broker_url:
        topology.declare(broker_url, {CONTEXT: [ROUTED]})
        for _ in range(bench.arguments.rounds):
            for name, publish, word in (("bare Celery", _send_tasks, "bare"), ("consumer", publish_events, "holdfast")):
                with outbox_database(bench.stack) as box:
                    bench.figures.add(f"{name}: events/s", _rate(box, broker_url, publish, word, count))


def _rate(box: Outbox, broker_url: str, publish: Callable[[str, int], None], worker: str, count: int) -> float:
    create_tables(box)
    publish(broker_url, count)
    with running_worker(box, broker_url, worker):
        first = wait_for_effects(box, 1)
        started = time.perf_counter()
        return (wait_for_effects(box, count) - first) / (time.perf_counter() - started)


def create_tables(box: Outbox) -> None:
    with transaction(box.engine) as connection:
        connection.execute(text(inbox.SCHEMA_V1))
        connection.execute(text(EFFECTS))


def wait_for_effects(box: Outbox, expected: int) -> int:
    deadline = time.monotonic() + DONE_SECONDS
    while time.monotonic() < deadline:
        with autocommit(box.engine) as connection:
            found = int(connection.execute(text("SELECT count(*) FROM effects")).scalar_one())
        if found >= expected:
            return found
        time.sleep(0.05)
    raise SystemExit("some events were not handled in time")


@contextmanager
def running_worker(box: Outbox, broker_url: str, word: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with this worker; `more` are further variables."""
    variables = {"RABBITMQ_URL": broker_url, "DATABASE_URL": box.url, "LOG_LEVEL": "WARNING"} | more
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.one_consumer", word], env=os.environ | variables)
    try:
        yield process
    finally:
        process.kill()  # its unacknowledged messages are lost with the database
        process.wait()


def publish_events(broker_url: str, count: int) -> None:
    publisher = make_publisher(broker_url)
    for first in range(0, count, PORTION):
        messages = [_message(number) for number in range(first, min(count, first + PORTION))]
        if len(publisher.publish(messages, timeout_seconds=CONFIRM_SECONDS)) < len(messages):
            raise SystemExit("the broker did not confirm all events")
    publisher.close()


def _message(number: int) -> Message:
    event = make_event(1, subject=f"thing-{number}")
    known = headers(event_id=event.id, event_type=event.type, correlation_id=event.correlationid)
    return Message(event.id, event.type, event.to_json().encode(), CONTENT_TYPE, dict(known))


def _send_tasks(broker_url: str, count: int) -> None:
    celery = _celery(broker_url)
    for number in range(count):
        celery.send_task(TASK, args=[make_event(1, subject=f"thing-{number}").to_json()])


@dataclass(frozen=True, kw_only=True)
class Settings(BatchWorkerSettings, DatabaseSettings):
    """What the worker of this benchmark reads."""


def handle(delivery: Delivery, work: Work) -> None:
    with once(work, delivery) as connection:
        connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})
        outbox.add(connection, replace(delivery.event, id=new_id()))


def run_holdfast() -> None:
    settings = load(Settings)
    configure_logging("worker-bench", settings.log_level)
    engine = make_engine(settings.database_url, pool_size=THREADS, timeout_seconds=10, name="worker-bench")
    handlers = {ROUTED: handle}
    batching = Batching(InboxBatches(engine, handlers).handle, settings.event_batch_size)
    run_worker(CONTEXT, handlers, engine, settings, probes={}, batching=batching)


class _Kept(threading.local):
    def __init__(self) -> None:
        self.connection = psycopg2.connect(os.environ["DATABASE_URL"].replace("+psycopg2", ""))


def run_bare() -> None:
    celery, kept = _celery(os.environ["RABBITMQ_URL"]), _Kept()

    def run(body: str) -> None:
        event = json.loads(body)
        with kept.connection, kept.connection.cursor() as cursor:
            cursor.execute(INBOX, (CONTEXT, event["id"]))
            cursor.execute(EFFECT, (event["id"],))
            event["id"] = new_id()
            cursor.execute(OUTBOX, (event["id"], event["type"], event["correlationid"], json.dumps(event)))

    celery.task(name=TASK)(run)
    words = ["--quiet", "worker", "--loglevel=WARNING", "--pool=threads", f"--concurrency={THREADS}"]
    celery.worker_main([*words, "--without-gossip", "--without-mingle", "--without-heartbeat"])


def _celery(broker_url: str) -> Celery:
    app = Celery("bare", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=[Queue(BARE_QUEUE, Exchange(BARE_QUEUE), routing_key=BARE_QUEUE)],
        task_default_queue=BARE_QUEUE,
        task_default_exchange=BARE_QUEUE,
        task_default_routing_key=BARE_QUEUE,
        task_ignore_result=True,
        worker_prefetch_multiplier=16,
    )
    return app


if __name__ == "__main__":
    {"bare": run_bare, "holdfast": run_holdfast}[sys.argv[1]]()
