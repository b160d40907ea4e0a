"""`python -m benchmarks.history`: the cost of requests with many past orders against few.

Starts its own stack in .holdfast-bench-history and measures each kind of request, one after the other on one
connection, with 1,000 past orders and then with many more (`--orders`, 1,000,000 unless you say else) of which each
customer has 100. Prints the median and the p99 of both, and their ratios. The rows are written straight into the
databases (`history_rows.py`).
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import history_rows
from benchmarks.throwaway_stack import throwaway_stack
from holdfast.bench import load
from holdfast.bench.orders import Shop
from holdfast.target import OPERATOR, target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrastructure.local.stack import Stack

HOME = ".holdfast-bench-history"
FEW_ORDERS = 1_000
PAGE = 20
FAR_DOWN = 1_000
PAUSE_SECONDS = 5.0  # until the written data is on disk and the system is idle
OK = {200, 202}


class Requests:
    """The measured requests by name; `orders` is the number of existing ones, numbered from 1."""

    def __init__(self, stack: Stack) -> None:
        target = target_of(stack)
        self.url = target.url
        self._host = urlsplit(self.url).netloc
        self.shop = Shop(target)
        self.shop.settle()
        self._customer = self.shop.token
        self._operator = target.anyone().token({"username": OPERATOR, "password": target.operator_password})

    def of(self, orders: int) -> dict[str, bytes]:
        """The bytes of each request except placing."""
        far = history_rows.order_id(max(orders - PAGE * FAR_DOWN, PAGE * 2))
        own = history_rows.order_id(FEW_ORDERS // 20)
        return {
            "read an order": self._get(f"orders/{own}", self._customer),
            "list orders: customer": self._get("orders", self._customer),
            "list orders: customer, cancelled": self._get("orders?status=cancelled", self._customer),
            "list orders: operator": self._get("orders"),
            f"list orders: operator, page {FAR_DOWN}": self._get(f"orders?starting_after={far}"),
            "list orders: operator, confirmed": self._get("orders?status=confirmed"),
            "list orders: operator, cancelled": self._get("orders?status=cancelled"),
            "list orders: operator, pending": self._get("orders?status=pending"),
            f"list orders: operator, confirmed, page {FAR_DOWN}": self._get(
                f"orders?status=confirmed&starting_after={far}"
            ),
            "timeline of an order": self._get(f"orders/{own}/timeline"),
            "list events: type": self._get("events?type=order.placed.v1"),
            "payment of an order": self._get(f"payments?order_id={own}", self._customer),
            "list payments: customer": self._get("payments", self._customer),
            "list payments: operator": self._get("payments"),
            f"list payments: operator, page {FAR_DOWN}": self._get(f"payments?starting_after={far}"),
            "list dead letters": self._get("dead-letters"),
            "list dead letters: queue": self._get("dead-letters?queue=orders.events"),
            "list dead letters: type, filed": self._get("dead-letters?type=order.placed.v1&status=filed"),
            "the system view": self._get("system"),
        }

    def _get(self, path: str, token: str = "") -> bytes:
        lines = (
            f"GET /api/v1/{path} HTTP/1.1",
            f"Host: {self._host}",
            f"Authorization: Bearer {token or self._operator}",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--port-base", type=int, default=8500)
    arguments = parser.parse_args()
    with throwaway_stack(HOME, arguments.port_base) as stack:
        requests = Requests(stack)
        figures = []
        first = 1
        for orders in (FEW_ORDERS, arguments.orders):
            started = time.monotonic()
            history_rows.fill(stack, first, orders, customer_id=requests.shop.customer_id if first == 1 else "nobody")
            print(f"{orders} orders written in {time.monotonic() - started:.0f} s", file=sys.stderr)
            time.sleep(PAUSE_SECONDS)
            figures.append(_measure(requests, orders, arguments.requests))
            first = orders + 1
    _show(*figures, orders=arguments.orders)


def _measure(requests: Requests, orders: int, count: int) -> dict[str, load.Result]:
    calls: dict[str, Callable[[], bytes]] = {"place an order": lambda: requests.shop.request(requests.url)}
    calls |= {name: partial(bytes, each) for name, each in requests.of(orders).items()}
    results = {}
    for name, request in calls.items():
        load.run(requests.url, request, connections=1, seconds=60, requests=20)  # warm-up
        results[name] = load.run(requests.url, request, connections=1, seconds=60, requests=count)
        if not set(results[name].statuses) <= OK:
            raise SystemExit(f"{name}: {results[name].statuses}")
        requests.shop.settle()
    return results


def _show(few: dict[str, load.Result], many: dict[str, load.Result], *, orders: int) -> None:
    print(f"| milliseconds with {FEW_ORDERS} and {orders} orders | p50 | | ratio | p99 | | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in few:
        cells = []
        for share in (0.5, 0.99):
            before, after = (results[name].percentile_ms(share) for results in (few, many))
            cells += [f"{before:.1f}", f"{after:.1f}", f"{after / before:.2f}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
