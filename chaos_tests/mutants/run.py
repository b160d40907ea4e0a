"""`python -m chaos_tests.mutants.run`: take one guarantee away at a time, and see that it is noticed.

First every scenario is run on the system as it is: it must find nothing. Then each mutant runs under its scenario, and
something new must be found: by the audit (orders, stock, money and events that do not agree), by dead letters that
should not be there, or by the clients themselves. The table goes to docs/mutants.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_tests.mutants.table import MUTANTS
from chaos_tests.runners.checker.drain import drain
from chaos_tests.runners.system import System
from infrastructure.local.ending import end_in_good_order

if TYPE_CHECKING:
    from chaos_tests.mutants.scenarios import Scenario
    from chaos_tests.mutants.table import Mutant

Findings = dict[tuple[str, str], str]  # what is broken, by promise and subject, in words

HOME, PORT_BASE = ".holdfast-mutants", 8750
DOCUMENT = Path("docs/mutants.md")
INJECTION = Path(__file__).parent / "injection"
QUIET_SECONDS, REST_SECONDS = 5.0, 180.0


@dataclass(frozen=True, slots=True)
class Row:
    """`broken`: the promises that were newly found broken; `example`: one finding in words."""

    name: str
    without: str
    scenario: str
    broken: list[str]
    example: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[mutant.name for mutant in MUTANTS])
    parser.add_argument("--home", default=HOME)
    parser.add_argument("--port-base", type=int, default=PORT_BASE)
    wanted = parser.parse_args()
    end_in_good_order()
    mutants = [mutant for mutant in MUTANTS if wanted.only in (None, mutant.name)]
    system = System(wanted.home, wanted.port_base)
    controls, rows = [], []
    try:
        system.start()
        for mutant in mutants:
            controls.append(_tried(system, mutant.scenario, "nothing", mutant))
            print(controls[-1], flush=True)
        for mutant in mutants:
            rows.append(mutated(system, mutant, Path(wanted.home).resolve()))
            print(rows[-1], flush=True)
    finally:
        system.stop()
    if wanted.only is None:
        write(controls, rows)
    sys.exit(0 if all(row.broken for row in rows) and not any(row.broken for row in controls) else 1)


def mutated(system: System, mutant: Mutant, home: Path) -> Row:
    """Run the mutant's processes with its patches, under its scenario; then put them back."""
    patches = home / f"mutant-{mutant.name}.json"
    patches.write_text(json.dumps([asdict(patch) for patch in mutant.patches]))
    variables = {"HOLDFAST_MUTANT": str(patches), "HOLDFAST_TEST_BUILD": "1", "PYTHONPATH": str(INJECTION)}
    with system.changed({name: variables | dict(mutant.environment) for name in mutant.processes}):
        return _tried(system, mutant.scenario, mutant.without, mutant)


def _tried(system: System, scenario: Scenario, without: str, mutant: Mutant) -> Row:
    system.wait_ready()
    before = _findings(system)
    told = scenario(system)
    # Nothing is on its way any more; what is still open then, stays so.
    drain(system.target().operator(), REST_SECONDS, lambda _what: None, orders_too=False)
    after = _findings(system)
    new = newly_broken(before, after)
    broken = sorted(told | {promise for promise, _ in new})
    example = next((f"{promise} {after[promise, subject]}" for promise, subject in new), "")
    return Row(
        mutant.name, without, scenario.__name__, broken, example or ", ".join(f"{p} seen by clients" for p in told)
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


def write(controls: list[Row], rows: list[Row]) -> None:
    caught = sum(bool(row.broken) for row in rows)
    false = [row.name for row in controls if row.broken]
    lines = [
        "# Mutants",
        "",
        "Written by `python -m chaos_tests.mutants.run`. Each mutant is the running system with one guarantee taken",
        "away (`chaos_tests/mutants/table.py`: patches that a test build applies to its processes as they import their",
        "modules). Its scenario must find something broken that the same scenario does not find without the mutant.",
        "",
        f"Caught: {caught} of {len(rows)}.",
        f"Scenarios that found something in the system as it is: {', '.join(false) or 'none'}.",
        "",
        "| mutant | without | scenario | found broken | for example |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        broken = ", ".join(row.broken) or "**nothing**"
        example = row.example.replace("|", "\\|").replace("\n", " ")[:120]
        lines.append(f"| {row.name} | {row.without} | `{row.scenario}` | {broken} | {example} |")
    DOCUMENT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
