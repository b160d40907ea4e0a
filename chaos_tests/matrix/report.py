"""A row of the matrix, and the page of all rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos_tests.runners.programs import machine, table

if TYPE_CHECKING:
    from collections.abc import Sequence

FAULT_SECONDS, INTERVAL_SECONDS = 8.0, 0.2
HEAD = """\
# What happens when something fails

Written by `holdfast chaos matrix`, which breaks each dependency in each way for {seconds:.0f} seconds, while an
order is placed every {interval_seconds} s. Measured on {machine}; the times are one machine's at one moment.

*During*: the answers to POST /orders while it lasted. *Ready*: the gateway's /readyz at its end. *Back*: seconds after
its end until the server itself answered, asked directly (one that was killed has to start). *Working*: seconds after
its end until the last of the workers that orders keep busy had handled an event again. *Accepting*, *confirming*:
seconds after its end until an order was accepted, and until one placed after it was confirmed, behind all that had
piled up. *Verdict*: whether every accepted order settled, no event became a dead letter, and the audit was green.

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
