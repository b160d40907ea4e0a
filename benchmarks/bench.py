"""Shared state of all measurements: the stack, one customer, the plain chain, and the figures so far."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks.figures import Figures
from benchmarks.plain_processes import PlainChain
from holdfast.bench import load
from holdfast.bench.orders import Shop
from holdfast.target import target_of
from infrastructure.local.readiness import holds_within

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from infrastructure.local.stack import Stack

SERVERS = {"postgres", "epmd", "rabbitmq", "mongodb", "sandbox", "keeper", "socket-manager"}
PLAIN_PORT_OFFSET = 38
DONE_SECONDS = 300.0
POLL_SECONDS = 0.25  # each poll costs the measured system some time


class Bench:
    """One run. `arguments` has rounds, seconds and connections."""

    def __init__(self, stack: Stack, arguments: Namespace) -> None:
        self.stack, self.arguments, self.figures = stack, arguments, Figures()
        self.shop = Shop(target_of(stack))
        self.orders_url = stack.urls.http("service-orders")

    @cached_property
    def plain(self) -> PlainChain:
        return PlainChain(self.stack, self.stack.home.port_base + PLAIN_PORT_OFFSET)

    @contextmanager
    def only_servers(self) -> Iterator[None]:
        """Only PostgreSQL, RabbitMQ, MongoDB and the sandbox of the stack run."""
        self.settle()
        running = [each["name"] for each in self.stack.status()["processes"] if each["pid"]]
        with ThreadPoolExecutor() as threads:
            list(threads.map(self.stack.stop, [name for name in running if name not in SERVERS]))
        try:
            yield
        finally:
            self.stack.up()

    @contextmanager
    def without_relays(self) -> Iterator[None]:
        """Orders are accepted, but not processed."""
        names = ("relay-1", "relay-2")
        for name in names:
            self.stack.stop(name)
        try:
            yield
        finally:
            for name in names:
                self.stack.start(name)

    def load(self, url: str, *, seconds: float | None = None, requests: int = 1_000_000) -> load.Result:
        """Place orders in a closed loop. Ends the program if one is not accepted."""
        connections = min(self.arguments.connections, requests)
        seconds = self.arguments.seconds if seconds is None else seconds
        result = load.run(
            url, lambda: self.shop.request(url), connections=connections, seconds=seconds, requests=requests
        )
        if set(result.statuses) != {202}:
            raise SystemExit(f"{url}: {result.statuses}")
        return result

    def settle(self) -> None:
        self.wait(self.shop.is_settled)

    def wait(self, is_done: Callable[[], bool]) -> None:
        """Raises `SystemExit` after five minutes."""
        if not holds_within(is_done, DONE_SECONDS, POLL_SECONDS):
            raise SystemExit("some orders were not done in time")

    def report(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
