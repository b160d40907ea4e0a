"""Payments workers side by side, at a provider that takes 300 ms for each of its two calls per order.

Without batches, so that a worker makes four charges at once (`WORKER_THREADS`): waiting is what limits it, not the
processors. For comparison one worker with batches, which makes up to 16 charges at once.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import requests

from infrastructure.local.environment import environment_of
from infrastructure.processes import process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bench import Bench

PROVIDER_SECONDS = 0.3
WORKERS = (1, 2, 3, 4)
ORDERS, QUICK_ORDERS = 200, 60
PAYMENTS = process("worker-payments")
PORT_OFFSET = 42
START_SECONDS, STOP_SECONDS, API_SECONDS = 30.0, 30.0, 10


def measure(bench: Bench) -> None:
    """Confirmed orders per second with each number of workers, behind a backlog of orders."""
    bench.settle()
    faults = f"{bench.stack.urls.http('sandbox')}/faults"
    slow = {"kind": "latency", "rate": 1.0, "seconds": PROVIDER_SECONDS}
    requests.put(faults, json=[slow], timeout=API_SECONDS).raise_for_status()
    try:
        bench.figures.add("workers: 1 with batches", _confirmed_per_second(bench))
        bench.stack.stop(PAYMENTS.name)
        with ExitStack() as running:
            for count in WORKERS:
                running.enter_context(_worker(bench, number=count))
                bench.figures.add(f"workers: {count}", _confirmed_per_second(bench))
    finally:
        requests.delete(faults, timeout=API_SECONDS).raise_for_status()
        bench.stack.start(PAYMENTS.name)


def _confirmed_per_second(bench: Bench) -> float:
    orders = QUICK_ORDERS if bench.arguments.quick else ORDERS
    started = time.perf_counter()
    bench.load(bench.orders_url, requests=orders, seconds=60)
    bench.settle()
    return orders / (time.perf_counter() - started)


@contextmanager
def _worker(bench: Bench, *, number: int) -> Iterator[None]:
    port = bench.stack.home.port_base + PORT_OFFSET + number
    environment = environment_of(PAYMENTS, bench.stack.home, bench.stack.credentials)
    own = {"METRICS_PORT": str(port), "EVENT_BATCH_SIZE": "1", "LOG_LEVEL": "WARNING"}
    running = subprocess.Popen(PAYMENTS.command, env=environment | own)
    try:
        _await_metrics(f"http://127.0.0.1:{port}/metrics", running)
        yield
    finally:
        running.terminate()
        running.wait(STOP_SECONDS)


def _await_metrics(url: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while running.poll() is None and time.monotonic() < deadline:
        try:
            requests.get(url, timeout=API_SECONDS).raise_for_status()
        except requests.RequestException:
            time.sleep(0.2)
        else:
            time.sleep(2)  # it subscribes to its queue after it has opened this port
            return
    raise SystemExit(f"{PAYMENTS.name} did not start")
