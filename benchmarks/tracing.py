"""`python -m benchmarks.tracing`: the cost of tracing per order, from its request to its confirmation.

Starts its own stack in .holdfast-bench-tracing, in turn without a collector, with one that is sent everything, and
with one that is sent a tenth. Each time the same number of orders goes all the way. Counted is the processor time that
the stack's own processes took for one order (this machine's other work hardly changes that), and the latency at the
front. The collector discards what it gets, in a process that is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from benchmarks.resources import processor_seconds
from holdfast.bench import load
from holdfast.bench.orders import Shop
from holdfast.target import target_of
from infrastructure.local.stack import Stack
from infrastructure.local.termination import exit_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME = ".holdfast-bench-tracing"
MODES: Mapping[str, str | None] = {"off": None, "on": "1.0", "a tenth": "0.1"}
OURS = ("service-", "worker-", "relay-", "scheduler")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=600)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--home", default=HOME)
    parser.add_argument("--port-base", type=int, default=8450)
    parser.add_argument("--sink", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.sink:
        _serve_sink()
        return
    exit_on_sigterm()
    figures: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
    with _sink() as url:
        for number in range(arguments.rounds):
            for mode, ratio in MODES.items():
                cpu, p50 = _measure(arguments, url if ratio else None, ratio)
                figures[mode].append((cpu, p50))
                print(f"round {number + 1}: {mode}: {cpu:.2f} ms, p50 {p50:.1f} ms", file=sys.stderr)
    base = statistics.median(cpu for cpu, _ in figures["off"])
    print(f"{'tracing':10}{'CPU ms/order':>14}{'ratio':>8}{'p50 ms':>9}   CPU of each round")
    for mode, values in figures.items():
        cpu, p50 = (statistics.median(column) for column in zip(*values, strict=True))
        print(f"{mode:10}{cpu:14.2f}{cpu / base:8.2f}{p50:9.1f}   {', '.join(f'{each:.2f}' for each, _ in values)}")


def _measure(arguments: argparse.Namespace, collector: str | None, ratio: str | None) -> tuple[float, float]:
    """Milliseconds of processor time per order, and the median latency in milliseconds."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector or ""
    os.environ["OTEL_TRACES_SAMPLER_ARG"] = ratio or "1.0"
    stack = Stack(arguments.home, arguments.port_base)
    stack.up()
    try:
        target = target_of(stack)
        shop = Shop(target)
        _place(shop, target.url, arguments.connections, arguments.orders // 4)  # warm-up
        idle = _cpu_per_second(stack)
        before, started = _cpu_seconds(stack), time.monotonic()
        result = _place(shop, target.url, arguments.connections, arguments.orders)
        spent = _cpu_seconds(stack) - before - idle * (time.monotonic() - started)
        return spent / result.answered * 1000, result.percentile_ms(0.5)
    finally:
        stack.down()


def _place(shop: Shop, url: str, connections: int, orders: int) -> load.Result:
    result = load.run(url, lambda: shop.request(url), connections=connections, seconds=300, requests=orders)
    if set(result.statuses) != {202}:
        raise SystemExit(f"{url}: {result.statuses}")
    shop.settle()
    time.sleep(3)  # the export has finished by now
    return result


def _cpu_per_second(stack: Stack) -> float:
    before = _cpu_seconds(stack)
    time.sleep(4)
    return (_cpu_seconds(stack) - before) / 4


def _cpu_seconds(stack: Stack) -> float:
    """The processor time of the stack's processes and their children so far."""
    return sum(seconds for name, seconds in processor_seconds(stack).items() if name.startswith(OURS))


@contextmanager
def _sink() -> Iterator[str]:
    words = [sys.executable, "-m", "benchmarks.tracing", "--sink"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        port = process.stdout.readline().strip() if process.stdout else ""
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _serve_sink() -> None:
    class Sink(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
