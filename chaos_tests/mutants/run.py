"""`holdfast chaos mutants`: removes one guarantee at a time, and checks that a scenario detects it.

First every scenario is run on the system as it is: it must find nothing. Then each mutant runs under its scenario, and
something new must be found: by the audit (orders, stock, money and events that do not agree), by dead letters that
should not be there, or by the clients themselves. The table goes to docs/mutants.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaos_tests.mutants.table import MUTANTS
from chaos_tests.runners.checker.drain import drain
from chaos_tests.runners.programs import Results, command, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chaos_tests.mutants.mutant import Mutant
    from chaos_tests.runners.system import System

Findings = dict[tuple[str, str], str]  # what is broken, by promise and subject, in words

HEAD = """# Mutants

Written by `holdfast chaos mutants`. Each mutant is the running system with one guarantee taken away
(`chaos_tests/mutants/table.py`: patches that a test build applies to its processes as they import their modules). Its
scenario must find something broken that the same scenario does not find without the mutant.

Caught: {caught} of {count}.
Scenarios that found something in the system as it is: {flagged}.

"""
INJECTION = Path(__file__).parent / "injection"
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
    """Run the mutant's processes with its patches, under its scenario; then put them back."""
    patches = system.stack.home.path / f"mutant-{mutant.name}.json"
    patches.write_text(json.dumps([asdict(patch) for patch in mutant.patches]))
    variables = {"HOLDFAST_MUTANT": str(patches), "HOLDFAST_TEST_BUILD": "1", "PYTHONPATH": str(INJECTION)}
    with system.changed({name: variables | dict(mutant.environment) for name in mutant.processes}):
        return _tried(system, mutant, is_control=False)


def _tried(system: System, mutant: Mutant, *, is_control: bool) -> Row:
    system.wait_ready()
    before = _findings(system)
    seen = mutant.scenario(system)
    # Nothing is on its way any more; what is still open then, stays so.
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
    """Of what is broken afterwards, what was whole before: an earlier mutant's order may go on to break otherwise."""
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
    return head + table(("mutant", "without", "scenario", "found broken", "for example"), cells)


RESULTS = Results("mutants", "mutants", Row, lambda row: (row.is_control, row.name), render)


@command(RESULTS, port_base=8750)
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([mutant.name for mutant in MUTANTS]),
    help="Run only this mutant; may be repeated.",
)
def mutants(system: System, only: tuple[str, ...]) -> Iterator[Row]:
    """Take one guarantee away at a time: its scenario must notice, and must find nothing without the mutant."""
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    for mutant in chosen:
        yield _tried(system, mutant, is_control=True)
    for mutant in chosen:
        yield mutated(system, mutant)


if __name__ == "__main__":
    mutants()
