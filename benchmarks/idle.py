"""`python -m benchmarks.idle`: an idle stack's processor time, and the time from accepted to confirmed.

Starts its own stack in .holdfast-bench-idle. It is idle for a minute. Then orders are placed one by
one, each after the one before it has ended. The state of an order is read from its table every two milliseconds, which
costs less than a request would. An order is accepted when its reply is there: the time to reply is not in the figure.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2

from benchmarks.resources import processor_seconds
from benchmarks.throwaway_stack import throwaway_stack
from holdfast.bench import load
from holdfast.bench.orders import Shop
from holdfast.target import target_of

if TYPE_CHECKING:
    from infrastructure.local.stack import Stack

HOME = ".holdfast-bench-idle"
QUIET_SECONDS = 10.0
POLL_SECONDS = 0.002
BETWEEN_ORDERS_SECONDS = 0.1
OPEN_SECONDS = 60.0
WARM_UP_ORDERS = 20
SHOWN_MILLISECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the idle phase")
    parser.add_argument("--port-base", type=int, default=8600)
    arguments = parser.parse_args()
    with throwaway_stack(HOME, arguments.port_base) as stack:
        shop = Shop(target_of(stack))
        shop.settle()
        _place(stack, shop, WARM_UP_ORDERS)
        time.sleep(QUIET_SECONDS)
        before = processor_seconds(stack)
        time.sleep(arguments.seconds)
        idle = processor_seconds(stack)
        _show_idle({name: (idle[name] - before.get(name, 0.0)) / arguments.seconds for name in idle})
        started, began = processor_seconds(stack), time.monotonic()
        waits = _place(stack, shop, arguments.orders)
        seconds, ended = time.monotonic() - began, processor_seconds(stack)
        resting = sum(idle.values()) - sum(before.values())
        used = sum(ended.values()) - sum(started.values()) - resting * seconds / arguments.seconds
        _show_waits(waits, used / arguments.orders)


def _place(stack: Stack, shop: Shop, count: int) -> list[float]:
    """Place orders one by one; returns the seconds from each reply to the order's end."""
    url, waits = stack.urls.http("gateway"), []
    administrator = stack.urls.postgres_administrator.replace("+psycopg2", "").rpartition("/")[0]
    with closing(psycopg2.connect(f"{administrator}/orders")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(count):
                load.run(url, lambda: shop.request(url), connections=1, seconds=1, requests=1)
                waits.append(_wait_for_end(cursor))
                time.sleep(BETWEEN_ORDERS_SECONDS)
    return waits


def _wait_for_end(cursor: Any) -> float:
    """Wait until the newest order has ended."""
    accepted = time.monotonic()
    while True:
        cursor.execute("SELECT status FROM orders ORDER BY id DESC LIMIT 1")
        waited = time.monotonic() - accepted
        if cursor.fetchone()[0] not in {"pending", "reserved"}:
            return waited
        if waited > OPEN_SECONDS:
            message = f"an order is still open after {OPEN_SECONDS:.0f} s"
            raise TimeoutError(message)
        time.sleep(POLL_SECONDS)


def _show_idle(share: dict[str, float]) -> None:
    print("| idle | processor time, ms for each second |\n|---|--:|")
    for name, used in sorted(share.items(), key=lambda each: -each[1]):
        if used * 1000 >= SHOWN_MILLISECONDS:
            print(f"| {name} | {used * 1000:.1f} |")
    print(f"| **all** | **{sum(share.values()) * 1000:.1f}** |", flush=True)


def _show_waits(waits: list[float], processor_seconds: float) -> None:
    found = load.Result(latencies_seconds=waits)
    print("\n| one order at a time | ms |\n|---|--:|")
    for share in (0.5, 0.95, 0.99):
        print(f"| accepted to confirmed, p{share * 100:.0f} | {found.percentile_ms(share):.0f} |")
    print(f"| processor time of all processes for one order | {processor_seconds * 1000:.1f} |")


if __name__ == "__main__":
    main()
