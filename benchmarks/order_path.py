"""The order path against the plain chain, each alone on the machine, round by round.

A side is one way to take orders. Its load is a closed loop; done orders are counted from the first request to the end
of the last order, so that the backlog counts as well.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.resources import processor_seconds
from benchmarks.storage import stored_bytes
from chaos_tests.runners.resources import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from benchmarks.bench import Bench

WARM_UP_ORDERS = 100
FRONT_SHARE = 0.4  # share of the duration, because the backlog must be processed afterwards
HOLDFAST, HOLDFAST_FRONT = "Holdfast", "Holdfast's front alone"
PLAIN, PLAIN_VISIBLE = "plain chain", "plain chain, visible work"
PLAIN_FRONT, BARE = "plain view alone", "bare Flask, one statement"


def measure(bench: Bench, sides: Collection[str]) -> None:
    """Measure these sides; the plain ones with the stack's own processes stopped."""
    for number in range(bench.arguments.rounds):
        bench.report(f"round {number + 1} of {bench.arguments.rounds}")
        if any(side in sides for side in _PLAIN):
            with bench.only_servers():
                _run(bench, _PLAIN, sides)
        _run(bench, _OURS, sides)


def _run(bench: Bench, table: Mapping[str, Callable[[Bench], None]], sides: Collection[str]) -> None:
    for side, run in table.items():
        if side in sides:
            bench.report(side)
            run(bench)


def _plain(bench: Bench) -> None:
    with bench.plain.front(), bench.plain.worker():
        _until_done(bench, PLAIN, bench.plain.url, bench.plain.is_done)


def _plain_visible(bench: Bench) -> None:
    with bench.plain.front(), bench.plain.worker(visible_work=True):
        _until_done(bench, PLAIN_VISIBLE, bench.plain.url, bench.plain.is_done)


def _plain_front(bench: Bench) -> None:
    with bench.plain.front():
        _front(bench, PLAIN_FRONT, bench.plain.url)
    bench.plain.clear()


def _bare(bench: Bench) -> None:
    with bench.plain.front("create_bare_app"):
        _front(bench, BARE, bench.plain.url)
    bench.plain.clear()


def _holdfast_front(bench: Bench) -> None:
    with bench.without_relays():
        _front(bench, HOLDFAST_FRONT, bench.orders_url)
    bench.settle()


def _holdfast(bench: Bench) -> None:
    stack = bench.stack
    bench.load(bench.orders_url, requests=WARM_UP_ORDERS)
    bench.settle()
    bytes_before, before = stored_bytes(stack), processor_seconds(stack)
    orders = _until_done(bench, HOLDFAST, bench.orders_url, bench.shop.is_settled, warm_up=0)
    memory = sum(memory_bytes(stack).values())
    spent = processor_seconds(stack)
    for name, seconds in spent.items():
        bench.figures.add(f"processor: {name}", (seconds - before.get(name, 0.0)) / orders * 1000)
    bench.figures.add("processor", sum(spent[name] - before.get(name, 0.0) for name in spent) / orders * 1000)
    bench.figures.add("memory, loaded", memory / 2**20)
    for store, count in stored_bytes(stack).items():
        bench.figures.add(f"bytes: {store}", (count - bytes_before[store]) / orders)


def _front(bench: Bench, side: str, url: str) -> None:
    bench.load(url, requests=WARM_UP_ORDERS)
    result = bench.load(url, seconds=bench.arguments.seconds * FRONT_SHARE)
    bench.figures.add(f"{side}: accepted/s", result.per_second)
    bench.figures.add(f"{side}: p50 ms", result.percentile_ms(0.5))


def _until_done(bench: Bench, side: str, url: str, is_done: Callable[[], bool], warm_up: int = WARM_UP_ORDERS) -> int:
    """Apply the load and wait for the last order; returns the number of orders."""
    if warm_up:
        bench.load(url, requests=warm_up)
        bench.wait(is_done)
    started = time.perf_counter()
    result = bench.load(url)
    bench.wait(is_done)
    seconds = time.perf_counter() - started
    bench.figures.add(f"{side}: accepted/s", result.per_second)
    bench.figures.add(f"{side}: p50 ms", result.percentile_ms(0.5))
    bench.figures.add(f"{side}: done/s", result.answered / seconds)
    return result.answered


_PLAIN = {PLAIN_FRONT: _plain_front, BARE: _bare, PLAIN: _plain, PLAIN_VISIBLE: _plain_visible}
_OURS = {HOLDFAST_FRONT: _holdfast_front, HOLDFAST: _holdfast}
