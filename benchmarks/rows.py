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
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.figures import Figures


STORES = ("PostgreSQL", "MongoDB")


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


def _ratio(ours: str, theirs: str, figure: str) -> tuple[Callable[[Figures], str], tuple[str, ...]]:
    names = (f"{ours}: {figure}", f"{theirs}: {figure}")
    return lambda figures: figures.ratio(*names).text(), names


def _comparison(key: str, what: str, goal: str, *, ours: str, theirs: str, figure: str) -> Row:
    reached, names = _ratio(ours, theirs, figure)
    return Row(key, what, goal, reached, names, sides=(ours, theirs))


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
        ">= 0.4",
        ours=HOLDFAST,
        theirs=PLAIN,
        figure="done/s",
    ),
    _comparison(
        "visible",
        "the same, when the plain chain also calls the provider twice and stores each event in MongoDB",
        ">= 1.0",
        ours=HOLDFAST,
        theirs=PLAIN_VISIBLE,
        figure="done/s",
    ),
    _comparison(
        "accepted",
        "accepted orders/s, all workers at work, over the plain view's",
        ">= 1.0",
        ours=HOLDFAST,
        theirs=PLAIN,
        figure="accepted/s",
    ),
    _comparison(
        "fronts",
        "accepted orders/s of the fronts alone, over the plain view's",
        ">= 1.5",
        ours=HOLDFAST_FRONT,
        theirs=PLAIN_FRONT,
        figure="accepted/s",
    ),
    _comparison(
        "bare",
        "accepted orders/s of the front alone, over bare Flask with one SQL statement",
        ">= 0.65",
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
    ),
    Row(
        "idle",
        "accepted to confirmed, idle system, orders one by one",
        "p50 <= 50 ms, p99 <= 100 ms",
        _p50_and_p99("idle"),
        ("idle: p50 ms",),
        before=latency.measure_idle,
    ),
    Row(
        "half",
        "the same at half the sustained rate",
        "p50 <= 100 ms, p99 <= 500 ms",
        _p50_and_p99("half"),
        ("half: p50 ms",),
        sides=(HOLDFAST,),
        measure=latency.measure_half,
    ),
    Row(
        "relay",
        "messages/s of the relay over raw pika with a window of confirms",
        ">= 0.9",
        lambda figures: figures.ratio("relay: messages/s", "raw pika: messages/s").text(),
        ("relay: messages/s",),
        measure=relay_alone.measure,
    ),
    Row(
        "memory",
        "memory of the whole stack, idle and loaded",
        "<= 2,048 MiB",
        lambda figures: ", ".join(figures.of(f"memory, {state}").text(f" MiB {state}") for state in ("idle", "loaded")),
        ("memory, idle", "memory, loaded"),
        sides=(HOLDFAST,),
        before=_measure_idle_memory,
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
        "a picture",
        lambda _figures: "[below](#against-load)",
        ("curve: offered/s",),
        sides=(HOLDFAST,),
        measure=load_curve.measure,
    ),
    Row(
        "consumer",
        "events/s of one consumer over bare Celery with the same statements",
        ">= 1.5",
        lambda figures: figures.ratio("consumer: events/s", "bare Celery: events/s").text(),
        ("consumer: events/s",),
        measure=one_consumer.measure,
    ),
    Row(
        "outage",
        "first confirmed order after a dependency's return, behind 25 s of orders; the backlog gone",
        "<= 3 s; half the outage's length",
        _after_outage,
        tuple(f"outage: {name}, first s" for name in outage.DEPENDENCIES.values()),
        sides=(HOLDFAST,),
        measure=outage.measure,
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
