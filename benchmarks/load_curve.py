"""The load curve: orders arrive at a fixed rate, increased step by step until the API sheds load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import open_loop
from benchmarks.order_path import HOLDFAST

if TYPE_CHECKING:
    from benchmarks.bench import Bench

STEPS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)  # of the rate that the closed loop reached
SECONDS, QUICK_SECONDS = 6.0, 3.0
SHED_SHARE = 0.05
ACCEPTED, SHED = 202, 503
COLUMNS = ("offered/s", "accepted/s", "confirmed/s", "p50 ms", "p99 ms", "shed %")


def measure(bench: Bench) -> None:
    """One step after the other; each begins when the orders of the one before it have ended."""
    reached = bench.figures.of(f"{HOLDFAST}: accepted/s").median
    seconds = QUICK_SECONDS if bench.arguments.quick else SECONDS
    for step in STEPS:
        if _step(bench, step * reached, seconds) > SHED_SHARE:
            return


def _step(bench: Bench, rate: float, seconds: float) -> float:
    """Run one step; returns the share of rejected orders."""
    bench.settle()
    started = time.perf_counter()
    result = open_loop.run(bench.orders_url, lambda: bench.shop.request(bench.orders_url), rate=rate, seconds=seconds)
    if not set(result.statuses) <= {ACCEPTED, SHED}:
        raise SystemExit(f"at {rate:.0f} orders/s: {result.statuses}")
    accepted, shed = (result.statuses.get(status, 0) for status in (ACCEPTED, SHED))
    bench.settle()
    share = shed / result.answered
    confirmed = accepted / (time.perf_counter() - started)
    row = (
        rate,
        accepted / max(seconds, result.seconds),
        confirmed,
        result.percentile_ms(0.5),
        result.percentile_ms(0.99),
        share * 100,
    )
    for column, value in zip(COLUMNS, row, strict=True):
        bench.figures.add(f"curve: {column}", value)
    return share
