"""`holdfast chaos mutants`: removes one guarantee at a time, and checks that a scenario detects it.

First every scenario runs on the unchanged system, and must find nothing. Then each mutant runs under its scenario, and
something new must be found: by the audit (inconsistent orders, stock, money and events), by unexpected dead letters, or
by the clients themselves. The table is docs/mutants.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from chaos_tests.mutants.mutant import patched_build
from chaos_tests.mutants.table import MUTANTS
from chaos_tests.runners.checker.drain import drain
from chaos_tests.runners.programs import Results, command, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos_tests.mutants.mutant import Mutant
    from chaos_tests.runners.system import System

Findings = dict[tuple[str, str], str]  # violations as text, by promise and subject

HEAD = """# Mutants

Written by `holdfast chaos mutants`. Each mutant is the running system without one guarantee
(`chaos_tests/mutants/table.py`: patches that a test build applies when its processes import their modules). A mutant is
caught if its scenario breaks a promise that the same scenario keeps without the mutant.

Caught: {caught} of {count}.
Scenarios that break a promise without a mutant: {flagged}.

"""
QUIET_SECONDS, REST_SECONDS = 5.0, 180.0


@dataclass(frozen=True, slots=True)
class Row:
    """`broken`: the promises that were newly found broken; `example`: one finding in words; a control is the system as
    it is.
    """

    name: str
    without: str
    scenario: str
    broken: list[str]
    example: str
    is_control: bool

    @property
    def passed(self) -> bool:
        return bool(self.broken) != self.is_control


def mutated(system: System, mutant: Mutant) -> Row:
    """Run the mutant's processes with its patches during its scenario; then restore them."""
    variables = patched_build(mutant.patches, system.stack.home.path / f"mutant-{mutant.name}.json")
    with system.changed({name: variables | dict(mutant.environment) for name in mutant.processes}):
        return _run_scenario(system, mutant, is_control=False)


def _run_scenario(system: System, mutant: Mutant, *, is_control: bool) -> Row:
    system.wait_ready()
    before = _findings(system)
    seen = mutant.scenario(system)
    # Nothing is in flight any more: orders that are still open will stay open.
    drain(system.target().operator(), REST_SECONDS, lambda _what: None, orders_too=False)
    after = _findings(system)
    new = newly_broken(before, after)
    broken = sorted(seen | {promise for promise, _ in new})
    example = next((f"{promise} {after[promise, subject]}" for promise, subject in new), "")
    return Row(
        name=mutant.name,
        without="nothing" if is_control else mutant.without,
        scenario=mutant.scenario.__name__,
        broken=broken,
        example=example or ", ".join(f"{promise} seen by clients" for promise in sorted(seen)),
        is_control=is_control,
    )


def newly_broken(before: Findings, after: Findings) -> list[tuple[str, str]]:
    """The violations of orders that had none before; an order of an earlier mutant may violate further promises."""
    known = {subject for _, subject in before}
    return sorted((promise, subject) for promise, subject in after if subject not in known)


def _findings(system: System) -> Findings:
    found = {(finding.promise, finding.subject): finding.text for finding in system.audit(QUIET_SECONDS).findings}
    letters = system.target().operator().all("/api/v1/dead-letters", status="filed")
    return found | {
        ("P7", letter["id"]): f"a dead letter: {letter['error']}" for letter in letters if letter["event_id"]
    }


def render(rows: Sequence[Row]) -> str:
    mutated_rows = [row for row in rows if not row.is_control]
    flagged = [row.name for row in rows if row.is_control and row.broken]
    head = HEAD.format(
        caught=sum(row.passed for row in mutated_rows), count=len(mutated_rows), flagged=", ".join(flagged) or "none"
    )
    cells = [
        (row.name, row.without, f"`{row.scenario}`", ", ".join(row.broken) or "**nothing**", row.example[:120])
        for row in mutated_rows
    ]
    return head + table(("mutant", "removed guarantee", "scenario", "broken promises", "example"), cells)


RESULTS = Results("mutants", "mutants", Row, lambda row: (row.is_control, row.name), render)


@command(RESULTS, port_base=8750)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([mutant.name for mutant in MUTANTS]),
    help="Run only this mutant; may be repeated.",
)
def mutants(system: System, only: tuple[str, ...]) -> Iterator[Row]:
    """Remove one guarantee at a time: its scenario must detect the mutant, and must pass without it."""
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    for mutant in chosen:
        yield _run_scenario(system, mutant, is_control=True)
    for mutant in chosen:
        yield mutated(system, mutant)


if __name__ == "__main__":
    mutants()
