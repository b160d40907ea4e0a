"""`python -m benchmarks.compare`: Holdfast's order path beside the plain one, in turn, on this machine.

Starts a new stack in .holdfast-bench, and the plain view and its worker (`benchmarks/plain_view.py`) beside it on the
same PostgreSQL and RabbitMQ. Each round measures, with the same load generator: both fronts while nothing works
behind them, then each with all its workers at work, until its last order is done. Prints the medians and the ranges.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from holdfast.bench import load
from holdfast.bench.orders import Shop
from holdfast.target import target_of
from infrastructure.local.ending import end_in_good_order
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOME = ".holdfast-bench"
PORT_BASE = 8400
PLAIN_PORT = PORT_BASE + 39
START_SECONDS = 20
DONE_SECONDS = 300
RELAYS = ("relay-1", "relay-2")
PLAIN_OPEN = "SELECT (SELECT count(*) FROM plain_orders) - (SELECT count(*) FROM plain_steps WHERE step = 'sell')"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    wanted = parser.parse_args()
    end_in_good_order()
    with (
        _stack() as stack,
        _plain(stack, "gunicorn", "-c", "python:common.web.gunicorn", "benchmarks.plain_view:create_app()"),
    ):
        comparison = Comparison(stack, wanted)
        for number in range(wanted.rounds):
            print(f"round {number + 1}", file=sys.stderr)
            comparison.round()
        comparison.show()


class Comparison:
    """Both ways of taking orders, and what was measured of them."""

    def __init__(self, stack: Stack, wanted: argparse.Namespace) -> None:
        self._stack, self._wanted = stack, wanted
        self._shop = Shop(target_of(stack))
        self._service = stack.urls.http("service-orders")
        self._front = f"http://127.0.0.1:{PLAIN_PORT}"
        self._figures: dict[str, list[float]] = {}

    def round(self) -> None:
        self._fronts_alone()
        with _plain(self._stack, "benchmarks.plain_view"):
            _wait(self._plain_is_done)
            plain = self._until_done("plain", self._front, self._plain_is_done)
        whole = self._until_done("Holdfast", self._service, self._shop.is_settled)
        self._note("ratio, all working: done/s", whole / plain)
        self._until_done("Holdfast through the gateway", self._stack.urls.http("gateway"), self._shop.is_settled)

    def show(self) -> None:
        for name, values in self._figures.items():
            spread = f"{min(values):.2f} to {max(values):.2f}"
            print(f"{name:46}{statistics.median(values):10.2f}   ({spread})")

    def _fronts_alone(self) -> None:
        for name in RELAYS:
            self._stack.stop(name)
        plain, ours = (
            self._load(self._front, share=0.4),
            self._load(self._service, share=0.4),
        )  # it has to be worked off
        for name in RELAYS:
            self._stack.start(name)
        self._note("plain, front alone: accepted/s", plain.per_second)
        self._note("plain, front alone: p50 ms", plain.percentile_ms(0.5))
        self._note("Holdfast, front alone: accepted/s", ours.per_second)
        self._note("Holdfast, front alone: p50 ms", ours.percentile_ms(0.5))
        self._note("ratio, fronts alone: accepted/s", ours.per_second / plain.per_second)
        _wait(self._shop.is_settled)

    def _until_done(self, name: str, url: str, is_done: Callable[[], bool]) -> float:
        """Load, then wait for the last order; the orders done a second, counted from the first request."""
        started = time.perf_counter()
        result = self._load(url)
        _wait(is_done)
        done = result.answered / (time.perf_counter() - started)
        self._note(f"{name}, all working: accepted/s", result.per_second)
        self._note(f"{name}, all working: done/s", done)
        return done

    def _load(self, url: str, *, share: float = 1) -> load.Result:
        seconds, connections = self._wanted.seconds * share, self._wanted.connections
        result = load.run(
            url, lambda: self._shop.request(url), connections=connections, seconds=seconds, requests=1_000_000
        )
        if set(result.statuses) != {202}:
            raise SystemExit(f"{url}: {result.statuses}")
        return result

    def _plain_is_done(self) -> bool:
        connection = psycopg2.connect(_plain_database(self._stack))
        try:
            with connection.cursor() as cursor:
                cursor.execute(PLAIN_OPEN)
                return cursor.fetchall() == [(0,)]
        finally:
            connection.close()

    def _note(self, name: str, value: float) -> None:
        self._figures.setdefault(name, []).append(value)


def _wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DONE_SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise SystemExit("some orders were not done in time")
        time.sleep(0.25)  # each look costs what it measures some time


@contextmanager
def _stack() -> Iterator[Stack]:
    if Path(HOME).exists():
        raise SystemExit(f"{HOME} is left from another run: end it (`holdfast down --home {HOME}`) and remove it")
    stack = Stack(HOME, PORT_BASE)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(HOME)


@contextmanager
def _plain(stack: Stack, *module: str) -> Iterator[None]:
    environment = os.environ | {
        "SERVICE_PORT": str(PLAIN_PORT),
        "DATABASE_URL": stack.urls.database("orders"),
        "RABBITMQ_URL": stack.urls.rabbitmq,
    }
    process = subprocess.Popen([sys.executable, "-m", *module], env=environment, stdout=subprocess.DEVNULL)
    try:
        time.sleep(3)
        if process.poll() is not None:
            raise SystemExit("the plain way did not start")
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _plain_database(stack: Stack) -> str:
    return stack.urls.database("orders").replace("+psycopg2", "")


if __name__ == "__main__":
    main()
