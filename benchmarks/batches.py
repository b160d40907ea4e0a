"""`python -m benchmarks.batches`: one consumer with a backlog, one event per transaction against up to 64, in turn.

The worker is the one of `one_consumer.py`: a handler does what the contexts' handlers do. Starts its own servers in
.holdfast-bench-batches. Prints events a second and the processor time of one event, in the worker and in everything
that runs (the servers included), and the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.one_consumer import CONTEXT, create_tables, publish_events, running_worker, wait_for_effects
from benchmarks.resources import TICKS_PER_SECOND, process_seconds
from benchmarks.scratch import outbox_database, virtual_host
from benchmarks.throwaway_stack import throwaway_stack
from common.messaging import topology
from common.tests.outboxes import ROUTED
from infrastructure.local.startup import Extent

if TYPE_CHECKING:
    from infrastructure.local.stack import Stack

HOME = ".holdfast-bench-batches"
SIZES = (1, 64)


@dataclass(frozen=True, slots=True)
class Figures:
    events_per_second: float
    worker_ms: float
    all_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port-base", type=int, default=8850)
    arguments = parser.parse_args()
    figures: dict[int, list[Figures]] = {size: [] for size in SIZES}
    with throwaway_stack(HOME, arguments.port_base, Extent.SERVERS) as stack:
        for _ in range(arguments.rounds):
            for size in SIZES:
                figures[size].append(measure(stack, size, arguments.events))
                print(f"up to {size:2} at once: {_shown(figures[size][-1])}")
    for size in SIZES:
        medians = [
            statistics.median(getattr(each, name) for each in figures[size])
            for name in ("events_per_second", "worker_ms", "all_ms")
        ]
        print(f"median, up to {size:2} at once: {_shown(Figures(*medians))}")


def measure(stack: Stack, size: int, events: int) -> Figures:
    """Publish the events, start a worker, and wait until all are handled."""
    with virtual_host(stack) as broker_url, outbox_database(stack) as box:
        create_tables(box)
        topology.declare(broker_url, {CONTEXT: [ROUTED]})
        publish_events(broker_url, events)
        with running_worker(box, broker_url, "holdfast", EVENT_BATCH_SIZE=str(size)) as process:
            first = wait_for_effects(box, 1)
            began, worker, everything = time.monotonic(), process_seconds(process.pid), _machine_seconds()
            handled = wait_for_effects(box, events) - first
            seconds = time.monotonic() - began
            return Figures(
                handled / seconds,
                1000 * (process_seconds(process.pid) - worker) / handled,
                1000 * (_machine_seconds() - everything) / handled,
            )


def _machine_seconds() -> float:
    """What all processors have worked, idling and waiting for a disk left out."""
    user, nice, system = (int(each) for each in Path("/proc/stat").read_text(encoding="ascii").split()[1:4])
    return (user + nice + system) / TICKS_PER_SECOND


def _shown(figures: Figures) -> str:
    return (
        f"{figures.events_per_second:6.0f} events/s, {figures.worker_ms:.2f} ms of the worker and "
        f"{figures.all_ms:.2f} ms of the machine for an event"
    )


if __name__ == "__main__":
    main()
