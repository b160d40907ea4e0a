"""The return of a dependency behind a backlog: orders arrive at half the sustained rate while it is stopped.

Orders are accepted without the payment provider and without RabbitMQ, and confirmed only with both. The time counts
from the moment when the dependency itself answers again.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pika
import requests
from pika.exceptions import AMQPError
from pymongo import MongoClient

from benchmarks import open_loop
from benchmarks.latency import CONFIRMED
from benchmarks.order_path import HOLDFAST

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from infrastructure.local.stack import Stack

DEPENDENCIES = {"sandbox": "provider", "rabbitmq": "RabbitMQ"}
OUTAGE_SECONDS, QUICK_SECONDS = 25.0, 8.0
START_SECONDS, PROBE_SECONDS = 60.0, 0.05


def measure(bench: Bench) -> None:
    rate = bench.figures.of(f"{HOLDFAST}: done/s").median / 2
    for process, name in DEPENDENCIES.items():
        _measure(bench, process, name, rate)


def _measure(bench: Bench, process: str, name: str, rate: float) -> None:
    bench.settle()
    seconds = QUICK_SECONDS if bench.arguments.quick else OUTAGE_SECONDS
    bench.stack.stop(process)
    try:
        result = open_loop.run(
            bench.orders_url, lambda: bench.shop.request(bench.orders_url), rate=rate, seconds=seconds
        )
    finally:
        bench.stack.start(process)
    _wait_for_answer(bench.stack, process)
    returned, started = datetime.now(UTC), time.perf_counter()
    if set(result.statuses) != {202}:
        raise SystemExit(f"without {name}: {result.statuses}")
    bench.settle()
    bench.figures.add(f"outage: {name}, backlog gone s", time.perf_counter() - started)
    bench.figures.add(f"outage: {name}, first s", (_first_confirmation(bench, returned) - returned).total_seconds())


def _wait_for_answer(stack: Stack, process: str) -> None:
    """Wait until the dependency has started."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if process == "rabbitmq":
                with closing(pika.BlockingConnection(pika.URLParameters(stack.urls.rabbitmq))):
                    return
            requests.get(stack.urls.http(process), timeout=START_SECONDS)
        except (AMQPError, OSError):
            time.sleep(PROBE_SECONDS)
        else:
            return
    message = f"{process} does not answer"
    raise TimeoutError(message)


def _first_confirmation(bench: Bench, after: datetime) -> datetime:
    """When the first order was confirmed after that time, by the event's own time."""
    query = {"type": CONFIRMED, "at": {"$gt": after.isoformat()}}
    with MongoClient[dict[str, Any]](bench.stack.urls.mongodb_administrator) as client:
        events = client["archive"]["events"]
        bench.wait(lambda: events.count_documents(query, limit=1) > 0)
        found = events.find_one(query, sort=[("at", 1)])
    return datetime.fromisoformat(found["at"]) if found else after
