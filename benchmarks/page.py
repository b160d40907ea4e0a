"""docs/performance.md: each row with its goal and result, and how the figures were measured."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import number
from benchmarks.latency import STEPS
from benchmarks.load_curve import COLUMNS, SECONDS
from benchmarks.order_path import BARE, HOLDFAST, HOLDFAST_FRONT, PLAIN, PLAIN_FRONT, PLAIN_VISIBLE
from benchmarks.picture import Chart, svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Figures
    from benchmarks.rows import Row

NOT_MEASURED, ELSEWHERE = "not measured in this run", "[measured separately](../benchmarks/README.md)"
HEAD = """\
# Performance

`{command}` writes this page. {machine}; commit {commit}; {when}.

A figure is the median of its rounds, with the lowest and the highest of them. Ratios are taken within a round: each
side is measured alone on the machine, one after the other, with the same load generator (a closed loop of {connections}
connections). Orders go straight to the orders service, without the gateway. A *front* is the process that accepts
orders, with no workers running; the *plain view* is the front of the plain chain.
"""
BASELINE = """\
## The baseline

*Plain chain*: a Flask view inserts a row and sends a Celery task; a threaded worker takes the order through four tasks,
each one insert and the next `send_task`, with publisher confirms. It is tuned: a kept connection and producer for each
thread, autocommit, a durable classic queue, prefetch ([plain_chain.py](../benchmarks/plain_chain.py)). It keeps no
promise: a process that dies between a row and its task loses the order.

An earlier baseline was weaker, most likely because of its pool: `ThreadedConnectionPool(1, 8)` closes every
connection that is given back beyond its first, so statements opened new ones under the pool's lock.
"""
LIMITS = """\
## Limits

What bounds these figures, and what was tried. The profile of each process is in
[benchmarks/README.md](../benchmarks/README.md#where-the-processor-time-goes).

* **Confirmed orders, processor time.** Tried and kept: batches with one statement for all their rows ([decision
  26](decisions/0026-batches-in-celery-workers.md)); Stripe's client over urllib3, reading JSON (a call
  takes 1.5 ms of processor time in place of 2.6); frames from the broker received ahead (an event of a backlog: 0.45 ms
  of the worker's processor time in place of 0.55, `python -m benchmarks.batches` before and after that change, seven
  alternating rounds). Measured, not optimised: logs, metrics and spans (23 us of an event's time, `python -m
  benchmarks.observability`); the bound on each wait for PostgreSQL (6 to 8 us a statement, [decision
  5](decisions/0005-every-wait-for-postgresql-is-bounded.md)). No single component dominates the rest. Two
  fifths of it are work that the plain chain does not do: the payment provider, the archive, e-mail and webhooks.
* **Accepted orders.** One process of Python takes them, so one core is the bound. Its two statements take a third of
  its time; the rest is the HTTP parser, Flask, the checks of token, body and key, and the order's event. The plain
  view does none of these checks.
* **Half the sustained rate.** At this rate batches are small, so each order costs more processor time; both cores are
  nearly saturated. Most of the wait is for payments, which makes two calls of the provider between its transactions.
* **Relay.** It reads and deletes each row in PostgreSQL, and waits for the confirms of a batch before it reads the
  next one. Tried and dropped, on another machine where the ratio was 0.54 to 0.58: one statement that deletes a batch
  and reads the next one (0.37 and 0.46), commits that do not wait for the disk (0.52 and 0.53). Not tried: reading the
  next batch during the wait.
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """The machine and the tree of the figures."""

    machine: str
    commit: str
    command: str
    when: str
    connections: int


def origin(command: str, when: str, connections: int) -> Origin:
    """This machine and this tree."""
    return Origin(_machine(), _commit(), command, when, connections)


def write(path: Path, rows: Sequence[Row], figures: Figures, origin: Origin) -> None:
    """Write the page, and its picture if the curve was measured."""
    path.write_text(render(rows, figures, origin), encoding="utf-8")
    if figures.has("curve: offered/s"):
        path.with_suffix(".svg").write_text(_picture(figures), encoding="utf-8")


def render(rows: Sequence[Row], figures: Figures, origin: Origin) -> str:
    """The page."""
    head = HEAD.format(
        command=origin.command,
        machine=origin.machine,
        commit=origin.commit,
        when=origin.when,
        connections=origin.connections,
    )
    parts = [head, "\n".join(_goals(rows, figures)), LIMITS, BASELINE, *_details(figures)]
    return "\n".join(parts)


def _goals(rows: Sequence[Row], figures: Figures) -> Iterator[str]:
    yield "| what | goal | reached | met | command |\n|---|---|---|---|---|"
    for row in rows:
        unknown = ELSEWHERE if row.elsewhere else NOT_MEASURED
        reached = row.reached(figures) if row.reached and figures.has(*row.needs) else unknown
        command = row.elsewhere or (f"python -m benchmarks --only {row.key}" if row.reached else "")
        met = ("yes" if row.met(figures) else "**no**") if row.met and figures.has(*row.needs) else ""
        yield f"| {row.what} | {row.goal} | {reached} | {met} | {f'`{command}`' if command else 'none yet'} |"
    yield ""


def _details(figures: Figures) -> Iterator[str]:
    sides = (PLAIN, PLAIN_VISIBLE, HOLDFAST, PLAIN_FRONT, BARE, HOLDFAST_FRONT)
    measured = [side for side in sides if figures.has(f"{side}: accepted/s")]
    if measured:
        yield "## Each side\n\n| | accepted/s | latency, p50 | done/s |\n|---|--:|--:|--:|"
        for side in measured:
            done = figures.of(f"{side}: done/s").text() if figures.has(f"{side}: done/s") else ""
            accepted, p50 = figures.of(f"{side}: accepted/s").text(), figures.of(f"{side}: p50 ms").text(" ms")
            yield f"| {side} | {accepted} | {p50} | {done} |"
        yield ""
    for ours, theirs, unit in (("relay", "raw pika", "messages/s"), ("consumer", "bare Celery", "events/s")):
        if figures.has(f"{ours}: {unit}"):
            both = (f"{name}: {figures.of(f'{name}: {unit}').text(f' {unit}')}" for name in (ours, theirs))
            yield f"{'; '.join(both)}.\n"
    if figures.has("half: rate"):
        yield f"Half the sustained rate was {figures.of('half: rate').text(' orders/s')}.\n"
    for needed, section in _SECTIONS.items():
        if figures.has(needed):
            yield from section(figures)


def _steps(figures: Figures) -> Iterator[str]:
    loads = [load for load in ("idle", "half") if figures.has(f"{load}: to {STEPS[-1]} ms")]
    yield "## Steps of an order\n"
    yield f"| from one event to the next, p50 | {' | '.join(loads)} |\n|---|{'--:|' * len(loads)}"
    for first, last in pairwise(STEPS):
        spans = (figures.of(f"{load}: to {last} ms").text(" ms") for load in loads)
        yield f"| {first} to {last} | {' | '.join(spans)} |"
    yield "\nIdle: one order at a time; half: at half the sustained rate.\n"


def _workers(figures: Figures) -> Iterator[str]:
    yield "## Payments workers side by side\n\n| workers | confirmed orders/s |\n|---|--:|"
    for name in figures.names("workers: "):
        yield f"| {name.removeprefix('workers: ')} | {figures.of(name).text()} |"
    yield "\nEach of the two provider calls for an order takes 300 ms. A worker without batches makes four charges at"
    yield "once, one with batches 16. The whole system shares the machine's cores.\n"


def _processor(figures: Figures) -> Iterator[str]:
    yield "## Processor time for one order\n\n| process group | ms for one order |\n|---|--:|"
    groups = sorted(
        ((figures.of(name).median, name) for name in figures.names("processor: ")), key=lambda each: -each[0]
    )
    for median, name in groups:
        if median >= 0.05:
            yield f"| {name.removeprefix('processor: ')} | {figures.of(name).text()} |"
    yield f"| **all** | {figures.of('processor').text()} |"
    yield "\nIncludes the processor time of the idle system.\n"


def _curve(figures: Figures) -> Iterator[str]:
    yield "## Against load\n\n![Throughput and latency against the offered load](performance.svg)\n"
    yield "Orders arrive at a fixed rate, independent of the response times; a latency counts from the time when its"
    yield f"request was due. Each rate is offered for {SECONDS:.0f} seconds; confirmed orders count until the last one"
    yield "has ended, so their rate includes the time after the offer.\n"
    yield f"| {' | '.join(COLUMNS)} |\n|{'--:|' * len(COLUMNS)}"
    for row in zip(*(figures.values(f"curve: {column}") for column in COLUMNS), strict=True):
        yield f"| {' | '.join(map(number, row))} |"
    yield ""


_SECTIONS = {
    f"half: to {STEPS[-1]} ms": _steps,
    "processor": _processor,
    "workers: 2": _workers,
    "curve: offered/s": _curve,
}


def _picture(figures: Figures) -> str:
    column = {name: figures.values(f"curve: {name}") for name in COLUMNS}
    x_name, x = "orders offered a second", column["offered/s"]
    return svg(
        Chart("Orders a second", x_name, x, {name: column[f"{name}/s"] for name in ("accepted", "confirmed")}),
        Chart("Latency of the request, ms", x_name, x, {name: column[f"{name} ms"] for name in ("p50", "p99")}),
    )


def _machine() -> str:
    model = platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kilobytes = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, {kilobytes / 2**20:.0f} GiB, Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def _commit() -> str:
    words = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    found = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return found.stdout.strip() or "unknown"


def command_line(words: Sequence[str]) -> str:
    return " ".join(["python -m benchmarks", *words])
