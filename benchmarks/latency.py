"""The time from accepted to confirmed: between two events of an order in the archive.

The clock is the one of the processes that wrote the events, so the measurement does not delay the order. Orders arrive
at a fixed rate.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient

from benchmarks import open_loop
from benchmarks.order_path import HOLDFAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench import Bench

IDLE_RATE = 4.0  # one order has ended before the next one is placed
IDLE_ORDERS, QUICK_ORDERS = 200, 60
HALF_SECONDS = 20.0
STEPS = ("order.placed.v1", "stock.reserved.v1", "payment.captured.v1", "order.confirmed.v1")
ACCEPTED, CONFIRMED = STEPS[0], STEPS[-1]


def measure_idle(bench: Bench) -> None:
    """Measure with one order at a time."""
    orders = QUICK_ORDERS if bench.arguments.quick else IDLE_ORDERS
    _measure(bench, "idle", IDLE_RATE, orders / IDLE_RATE)


def measure_half(bench: Bench) -> None:
    """Measure at half the rate that was sustained in this run."""
    rate = bench.figures.of(f"{HOLDFAST}: done/s").median / 2
    bench.figures.add("half: rate", rate)
    _measure(bench, "half", rate, HALF_SECONDS / 2 if bench.arguments.quick else HALF_SECONDS)


def _measure(bench: Bench, name: str, rate: float, seconds: float) -> None:
    bench.settle()
    with MongoClient[dict[str, Any]](bench.stack.urls.mongodb_administrator) as client:
        events = client["archive"]["events"]
        newest = events.find_one(sort=[("position", -1)])
        result = open_loop.run(
            bench.orders_url, lambda: bench.shop.request(bench.orders_url), rate=rate, seconds=seconds
        )
        if set(result.statuses) != {202}:
            raise SystemExit(f"{name}: {result.statuses}")
        query = {"position": {"$gt": newest["position"] if newest else 0}, "type": {"$in": STEPS}}
        bench.settle()
        bench.wait(lambda: events.count_documents(query) >= len(STEPS) * result.answered)
        at: dict[str, dict[str, datetime]] = {}
        for event in events.find(query):
            at.setdefault(event["orderid"], {})[event["type"]] = datetime.fromisoformat(event["at"])
    orders = [each for each in at.values() if len(each) == len(STEPS)]
    for share in (50, 99):
        bench.figures.add(f"{name}: p{share} ms", _percentile(orders, ACCEPTED, CONFIRMED, share))
    for first, last in pairwise(STEPS):
        bench.figures.add(f"{name}: to {last} ms", _percentile(orders, first, last, 50))


def _percentile(orders: Sequence[dict[str, datetime]], first: str, last: str, share: int) -> float:
    """The milliseconds from one event of an order to another."""
    spans = sorted((each[last] - each[first]).total_seconds() * 1000 for each in orders)
    return spans[min(len(spans) - 1, len(spans) * share // 100)]
