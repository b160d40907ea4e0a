"""A row of the matrix, and the page of all rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos_tests.runners.programs import machine, table

if TYPE_CHECKING:
    from collections.abc import Sequence

FAULT_SECONDS, INTERVAL_SECONDS = 8.0, 0.2
HEAD = """\
# Failure matrix

Written by `holdfast chaos matrix`. It breaks each dependency in each way for {seconds:.0f} seconds, while an order
is placed every {interval_seconds} s. Measured on {machine}; the times are from one run on one machine.

| column | meaning |
| --- | --- |
| during | responses to POST /orders during the fault |
| slowest | the slowest of them |
| ready | response of the gateway's /readyz at the end of the fault |
| back | seconds after the fault until the server itself responded (a killed one has to start first) |
| working | seconds after the fault until every worker on the order path had handled an event again |
| accepting | seconds after the fault until an order was accepted |
| confirming | seconds after the fault until an order placed after it was confirmed, behind the backlog |
| accepted | orders accepted |
| verdict | *kept*: every accepted order settled, no event became a dead letter, and the audit passed |

"""
COLUMNS = (
    *("dependency", "fault", "during", "slowest", "ready", "back", "working"),
    *("accepting", "confirming", "accepted", "verdict"),
)


@dataclass
class Row:
    """The effects of one fault. Seconds; None if not observed within the time-out."""

    dependency: str
    fault: str
    during: dict[str, int] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    readiness: int = 0
    returned_after_seconds: float | None = None
    working_after_seconds: dict[str, float] = field(default_factory=dict)
    silent_workers: list[str] = field(default_factory=list)
    accepted_after_seconds: float | None = None
    confirmed_after_seconds: float | None = None
    accepted: int = 0
    unsettled: int = 0
    dead_letters: int = 0
    broken_promises: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not (self.unsettled or self.dead_letters or self.broken_promises or self.silent_workers)

    @property
    def all_working_after_seconds(self) -> float | None:
        """Until the last worker handled an event; None if one of them never did."""
        return None if self.silent_workers else max(self.working_after_seconds.values(), default=None)


def render(rows: Sequence[Row]) -> str:
    head = HEAD.format(seconds=FAULT_SECONDS, interval_seconds=INTERVAL_SECONDS, machine=machine())
    return head + table(COLUMNS, map(_cells, rows))


def _cells(row: Row) -> tuple[object, ...]:
    during = ", ".join(f"{count} x {outcome}" for outcome, count in sorted(row.during.items()))
    verdict = "kept" if row.passed else f"**broken**: {_complaint(row)}"
    return (
        "provider" if row.dependency == "sandbox" else row.dependency,
        row.fault,
        during,
        f"{row.slowest_seconds:.1f} s",
        row.readiness,
        _seconds(row.returned_after_seconds),
        _seconds(row.all_working_after_seconds),
        _seconds(row.accepted_after_seconds),
        _seconds(row.confirmed_after_seconds),
        row.accepted,
        verdict,
    )


def _complaint(row: Row) -> str:
    silent = f", silent: {', '.join(row.silent_workers)}" if row.silent_workers else ""
    promises = ", ".join(row.broken_promises) or "audit green"
    return f"{row.unsettled} open, {row.dead_letters} dead letters, {promises}{silent}"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
