"""The matrix as a page for people, and its figures for programs."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

DOCUMENT = Path("docs/failure-matrix.md")
HEAD = """\
# What happens when something fails

Written by `python -m chaos_tests.matrix.run`, which breaks each dependency in each way for {seconds:.0f} seconds, while
an order is placed every {interval_seconds} s. Measured on {machine}; the times are one machine's at one moment.

*During*: the answers to POST /orders while it lasted. *Ready*: the gateway's /readyz at its end. *Back*: seconds after
its end until the server itself answered, asked directly (one that was killed has to start). *Working*: seconds after
its end until the last of the workers that orders keep busy had handled an event again. *Accepting*, *confirming*:
seconds after its end until an order was accepted, and until one placed after it was confirmed, behind all that had
piled up. *Verdict*: whether every accepted order settled, no event became a dead letter, and the audit was green.

| dependency | fault | during | slowest | ready | back | working | accepting | confirming | accepted | verdict |
|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass
class Row:
    """What one fault looked like. Seconds; None where it was not seen within the bound."""

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
        """Until the last of the workers did something; None if one of them never did."""
        return None if self.silent_workers else max(self.working_after_seconds.values(), default=None)


def write(rows: list[Row], *, seconds: float, interval_seconds: float) -> None:
    machine = f"{platform.system()}, {platform.machine()}, CPython {platform.python_version()}"
    head = HEAD.format(seconds=seconds, interval_seconds=interval_seconds, machine=machine)
    DOCUMENT.write_text(head + "\n".join(map(line, rows)) + "\n")
    DOCUMENT.with_suffix(".json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def read() -> list[Row]:
    """What is on file, or nothing."""
    with suppress(OSError):
        return [Row(**known) for known in json.loads(DOCUMENT.with_suffix(".json").read_text())]
    return []


def line(row: Row) -> str:
    during = ", ".join(f"{count} x {outcome}" for outcome, count in sorted(row.during.items()))
    verdict = "kept" if row.passed else f"**broken**: {_complaint(row)}"
    cells = [
        "provider" if row.dependency == "sandbox" else row.dependency,
        row.fault,
        during,
        f"{row.slowest_seconds:.1f} s",
        str(row.readiness),
        _seconds(row.returned_after_seconds),
        _seconds(row.all_working_after_seconds),
        _seconds(row.accepted_after_seconds),
        _seconds(row.confirmed_after_seconds),
        str(row.accepted),
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def _complaint(row: Row) -> str:
    silent = f", silent: {', '.join(row.silent_workers)}" if row.silent_workers else ""
    promises = ", ".join(row.broken_promises) or "audit green"
    return f"{row.unsettled} open, {row.dead_letters} dead letters, {promises}{silent}"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
