"""`holdfast chaos crashes`: kills a process at every step of an order, on its first and a later visit.

A test build (HOLDFAST_TEST_BUILD=1) kills itself with SIGKILL at the crash point that HOLDFAST_CRASH_POINT names. For
each one: the process is armed, orders of every kind are placed until it dies, it restarts without the crash point,
every accepted order must settle, and the audit must be green. A crash point at which no process died fails the test.
The table is docs/crash-points.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from chaos_tests.crashes.driving import ALONE, BATCHES, in_crowds, one_by_one, publish_poison
from chaos_tests.crashes.points import ON_THE_ORDER_PATH
from chaos_tests.runners.process_tree import any_died
from chaos_tests.runners.programs import Results, command, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos_tests.runners.system import System

LATER = 3
HEAD = """# Crash points

Written by `holdfast chaos crashes`. Each row is one run: a test build killed a process (SIGKILL) when it reached the
crash point (`common/resilience/crash_points.py`) for the first or third time. The verdict is *kept* if every accepted
order then settled and the audit passed.

Crash points hit: {hit} of {places} ({percent} %).

"""
COLUMNS = ("crash point", "visit", "processes", "killed", "orders", "verdict")


@dataclass
class Row:
    place: str
    visit: int
    process: str
    died: bool
    accepted: int
    unsettled: int
    broken_promises: list[str]

    @property
    def passed(self) -> bool:
        return self.died and not self.unsettled and not self.broken_promises


def crash(system: System, place: str, visit: int, processes: tuple[str, ...], fault: dict[str, Any] | None) -> Row:
    """Arm the process, place orders until it dies, restart it, settle, audit."""
    customer = system.customer()
    placed: list[str] = []
    in_batches = place.startswith("batch.")
    # Crash points of batches are reached by waiting events, the others by single events.
    size = BATCHES if in_batches else ALONE
    with system.changed(dict.fromkeys(processes, size)):
        alive = system.arm(processes, f"{place}:{visit}")
        if fault:
            system.sandbox_fault(**fault)
        drive = in_crowds if in_batches else one_by_one
        poison = partial(publish_poison, system.stack.urls.rabbitmq) if place == "batch.failed" else lambda: None
        try:
            died = drive(lambda: any_died(alive), customer, placed, poison)
        finally:
            system.restore_sandbox()
        # Surviving processes, and the parent of a killed child, are still armed: restart them without the crash point.
        system.override({name: {} for name in processes})
    unsettled = system.settle(placed)
    broken = sorted({finding.promise for finding in system.audit().findings})
    return Row(place, visit, ", ".join(processes), died, len(placed), unsettled, broken)


def render(rows: Sequence[Row]) -> str:
    hit = {row.place for row in rows if row.died}
    cells = [
        (f"`{row.place}`", row.visit, row.process, "yes" if row.died else "**no**", row.accepted, _verdict(row))
        for row in rows
    ]
    places = len(ON_THE_ORDER_PATH)
    return HEAD.format(hit=len(hit), places=places, percent=100 * len(hit) // places) + table(COLUMNS, cells)


def _verdict(row: Row) -> str:
    return "kept" if row.passed else f"**broken**: {row.unsettled} open, {', '.join(row.broken_promises)}"


RESULTS = Results("crashes", "crash-points", Row, lambda row: (row.place, row.visit), render)


@command(RESULTS, port_base=8700)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(list(ON_THE_ORDER_PATH)),
    help="Visit only this crash point; may be repeated.",
)
def crashes(system: System, only: tuple[str, ...]) -> Iterator[Row]:
    """Kill a process at every named step of an order's processing, on its first and a later visit."""
    for place, (processes, fault) in ON_THE_ORDER_PATH.items():
        if not only or place in only:
            for visit in (1, LATER):
                yield crash(system, place, visit, processes, fault)


if __name__ == "__main__":
    crashes()
