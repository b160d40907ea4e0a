"""The rows of docs/performance.md: what is measured, its goal, and how the figures answer it.

A row with `sides` needs these sides of the order path; `before` measures the system that has had no load yet, `measure`
what comes after the sides. A row without `reached` is not measured here: it takes long and has its own command
(`elsewhere`), or nothing measures it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import latency, load_curve, one_consumer, outage, relay_alone, worker_scaling
from benchmarks.order_path import BARE, HOLDFAST, HOLDFAST_FRONT, PLAIN, PLAIN_FRONT, PLAIN_VISIBLE
from chaos_tests.runners.resources import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import Bench
    from benchmarks.figures import Figures


STORES = ("PostgreSQL", "MongoDB")
RELAY_RATIO, CONSUMER_RATIO = 0.9, 1.5


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    what: str
    goal: str
    reached: Callable[[Figures], str] | None = None
    needs: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    before: Callable[[Bench], None] | None = None
    measure: Callable[[Bench], None] | None = None
    elsewhere: str = ""
    met: Callable[[Figures], bool] | None = None  # whether the medians reach the goal; None without a fixed goal


def _ratio(ours: str, theirs: str, figure: str) -> tuple[Callable[[Figures], str], tuple[str, ...]]:
    names = (f"{ours}: {figure}", f"{theirs}: {figure}")
    return lambda figures: figures.ratio(*names).text(), names


def _comparison(key: str, what: str, *, at_least: float, ours: str, theirs: str, figure: str) -> Row:
    reached, names = _ratio(ours, theirs, figure)
    return Row(
        key,
        what,
        f">= {at_least}",
        reached,
        names,
        sides=(ours, theirs),
        met=lambda figures: figures.ratio(*names).median >= at_least,
    )


def _at_most(limits: Mapping[str, float]) -> Callable[[Figures], bool]:
    return lambda figures: all(figures.of(name).median <= limit for name, limit in limits.items())


def _p50_and_p99(name: str) -> Callable[[Figures], str]:
    return lambda figures: ", ".join(
        f"{share} {figures.of(f'{name}: {share} ms').text(' ms')}" for share in ("p50", "p99")
    )


def _after_outage(figures: Figures) -> str:
    return "; ".join(
        f"{name}: {figures.of(f'outage: {name}, first s').text(' s')}, "
        f"{figures.of(f'outage: {name}, backlog gone s').text(' s')}"
        for name in outage.DEPENDENCIES.values()
    )


def _measure_idle_memory(bench: Bench) -> None:
    bench.figures.add("memory, idle", sum(memory_bytes(bench.stack).values()) / 2**20)


ROWS: tuple[Row, ...] = (
    _comparison(
        "chain",
        "confirmed orders/s, sustained by 16 connections, over the plain chain's",
        at_least=0.4,
        ours=HOLDFAST,
        theirs=PLAIN,
        figure="done/s",
    ),
    _comparison(
        "visible",
        "the same, when the plain chain also calls the provider twice and stores each event in MongoDB",
        at_least=1.0,
        ours=HOLDFAST,
        theirs=PLAIN_VISIBLE,
        figure="done/s",
    ),
    _comparison(
        "accepted",
        "accepted orders/s, all workers at work, over the plain view's",
        at_least=1.0,
        ours=HOLDFAST,
        theirs=PLAIN,
        figure="accepted/s",
    ),
    _comparison(
        "fronts",
        "accepted orders/s of the fronts alone, over the plain view's",
        at_least=1.5,
        ours=HOLDFAST_FRONT,
        theirs=PLAIN_FRONT,
        figure="accepted/s",
    ),
    _comparison(
        "bare",
        "accepted orders/s of the front alone, over bare Flask with one SQL statement",
        at_least=0.65,
        ours=HOLDFAST_FRONT,
        theirs=BARE,
        figure="accepted/s",
    ),
    Row(
        "processor",
        "processor time for one order, all processes",
        "<= 20 ms",
        lambda figures: figures.of("processor").text(" ms"),
        ("processor",),
        sides=(HOLDFAST,),
        met=_at_most({"processor": 20}),
    ),
    Row(
        "idle",
        "accepted to confirmed, idle system, orders one by one",
        "p50 <= 50 ms, p99 <= 100 ms",
        _p50_and_p99("idle"),
        ("idle: p50 ms",),
        before=latency.measure_idle,
        met=_at_most({"idle: p50 ms": 50, "idle: p99 ms": 100}),
    ),
    Row(
        "half",
        "the same at half the sustained rate",
        "p50 <= 100 ms, p99 <= 500 ms",
        _p50_and_p99("half"),
        ("half: p50 ms",),
        sides=(HOLDFAST,),
        measure=latency.measure_half,
        met=_at_most({"half: p50 ms": 100, "half: p99 ms": 500}),
    ),
    Row(
        "relay",
        "messages/s of the relay over raw pika with a window of confirms",
        f">= {RELAY_RATIO}",
        lambda figures: figures.ratio("relay: messages/s", "raw pika: messages/s").text(),
        ("relay: messages/s",),
        measure=relay_alone.measure,
        met=lambda figures: figures.ratio("relay: messages/s", "raw pika: messages/s").median >= RELAY_RATIO,
    ),
    Row(
        "memory",
        "memory of the whole stack, idle and loaded",
        "<= 2,048 MiB",
        lambda figures: ", ".join(figures.of(f"memory, {state}").text(f" MiB {state}") for state in ("idle", "loaded")),
        ("memory, idle", "memory, loaded"),
        sides=(HOLDFAST,),
        before=_measure_idle_memory,
        met=_at_most({"memory, loaded": 2048}),
    ),
    Row(
        "growth",
        "bytes of PostgreSQL and MongoDB for one order",
        "stated",
        lambda figures: ", ".join(figures.of(f"bytes: {store}").text(f" {store}") for store in STORES),
        tuple(f"bytes: {store}" for store in STORES),
        sides=(HOLDFAST,),
    ),
    Row(
        "curve",
        "latency and throughput against load (open loop), until orders are shed",
        "a chart",
        lambda _figures: "[below](#against-load)",
        ("curve: offered/s",),
        sides=(HOLDFAST,),
        measure=load_curve.measure,
    ),
    Row(
        "consumer",
        "events/s of one consumer over bare Celery with the same statements",
        f">= {CONSUMER_RATIO}",
        lambda figures: figures.ratio("consumer: events/s", "bare Celery: events/s").text(),
        ("consumer: events/s",),
        measure=one_consumer.measure,
        met=lambda figures: figures.ratio("consumer: events/s", "bare Celery: events/s").median >= CONSUMER_RATIO,
    ),
    Row(
        "outage",
        "first confirmed order after a dependency's return, behind 25 s of orders; the backlog gone",
        "<= 3 s; half the outage's length",
        _after_outage,
        tuple(f"outage: {name}, first s" for name in outage.DEPENDENCIES.values()),
        sides=(HOLDFAST,),
        measure=outage.measure,
        met=_at_most(
            {f"outage: {name}, first s": 3 for name in outage.DEPENDENCIES.values()}
            | {f"outage: {name}, backlog gone s": outage.OUTAGE_SECONDS / 2 for name in outage.DEPENDENCIES.values()}
        ),
    ),
    Row(
        "history",
        "p99 of every request with 1,000,000 orders over the same with 1,000",
        "<= 1.2",
        elsewhere="python -m benchmarks.history",
    ),
    Row(
        "nodes",
        "three nodes of RabbitMQ over one",
        "stated",
        elsewhere="python -m benchmarks.nodes",
    ),
    Row(
        "workers",
        "confirmed orders/s of two payments workers over one, each provider call 300 ms",
        "close to 2",
        lambda figures: figures.ratio("workers: 2", "workers: 1").text(),
        ("workers: 2",),
        measure=worker_scaling.measure,
    ),
)
