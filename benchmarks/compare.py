"""`python -m benchmarks.compare`: Holdfast's order path beside the plain view, in turn, on this machine.

Starts a stack of its own in .holdfast-bench, and the plain view beside it on the same PostgreSQL and RabbitMQ. Each
round measures both fronts with the same load generator, Holdfast's directly at its service, as the plain view is, and
again through the gateway; then it lets every order settle. Prints the medians and the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.bench import load
from holdfast.bench.orders import Shop, measure
from holdfast.target import SANDBOX_KEY, Target
from infrastructure.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = ".holdfast-bench"
PORT_BASE = 8400
PLAIN_PORT = PORT_BASE + 39
START_SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    wanted = parser.parse_args()
    stack = Stack(HOME, PORT_BASE)
    stack.up()
    try:
        with _plain_view(stack) as plain_url:
            _compare(target_of(stack), stack.urls.http("service-orders"), plain_url, wanted)
    finally:
        stack.down()


def _compare(target: Target, service_url: str, plain_url: str, wanted: argparse.Namespace) -> None:
    shop = Shop(target)
    figures: dict[str, list[float]] = {"plain view": [], "holdfast, accepted": [], "ratio": [], "p50 plain": []}
    figures |= {"p50 holdfast": [], "through the gateway": [], "holdfast, confirmed": []}
    for number in range(wanted.rounds):
        _say(f"round {number + 1}")
        plain = _load(plain_url, shop, wanted)
        direct = _load(service_url, shop, wanted)
        shop.settle()
        whole = measure(
            target,
            connections=wanted.connections,
            seconds=wanted.seconds,
            requests=1_000_000,
            progress=_say,
        )
        figures["plain view"].append(plain.per_second)
        figures["holdfast, accepted"].append(direct.per_second)
        figures["ratio"].append(direct.per_second / plain.per_second)
        figures["p50 plain"].append(plain.percentile_ms(0.5))
        figures["p50 holdfast"].append(direct.percentile_ms(0.5))
        figures["through the gateway"].append(whole.accepting.per_second)
        figures["holdfast, confirmed"].append(whole.confirmed_per_second)
    for name, values in figures.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{name:24}{statistics.median(values):10.1f}   ({spread})")


def _load(url: str, shop: Shop, wanted: argparse.Namespace) -> load.Result:
    result = load.run(
        url, lambda: shop.request(url), connections=wanted.connections, seconds=wanted.seconds, requests=1_000_000
    )
    if set(result.statuses) != {202}:
        raise SystemExit(f"{url}: {result.statuses}")
    return result


def _say(what: str) -> None:
    print(what, file=sys.stderr)


@contextmanager
def _plain_view(stack: Stack) -> Iterator[str]:
    environment = os.environ | {
        "SERVICE_PORT": str(PLAIN_PORT),
        "DATABASE_URL": stack.urls.database("orders"),
        "RABBITMQ_URL": stack.urls.rabbitmq,
    }
    words = [sys.executable, "-m", "gunicorn", "-c", "python:common.server", "benchmarks.plain_view:create_app()"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    try:
        time.sleep(3)
        if process.poll() is not None:
            raise SystemExit("the plain view did not start")
        yield f"http://127.0.0.1:{PLAIN_PORT}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def target_of(stack: Stack) -> Target:
    return Target(
        url=stack.urls.http("gateway"),
        operator_password=stack.credentials.operator_password,
        management_url=stack.urls.rabbitmq_management,
        ledger_url=stack.urls.http("sandbox"),
        ledger_key=SANDBOX_KEY,
        stack=stack,
    )


if __name__ == "__main__":
    main()
