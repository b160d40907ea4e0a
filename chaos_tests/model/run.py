"""`python -m chaos_tests.model.run`: check the models exhaustively, and that the mutants are found.

Writes docs/model-results.md. `--wide` takes the larger bounds (minutes); `--only WORD` what has the word in its name,
without writing. Exit code 0: all hold and all mutants are found; 1: not so; 2: nothing can be checked on this machine.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_tests.model.cases import MUTANTS, PROPERTIES, QUICK, WIDE, Case, Mutant
from chaos_tests.model.checking import UnfinishedError, Verdict, check
from chaos_tests.model.programs import MissingToolError, Programs, ensure_programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCUMENT = Path(__file__).parents[2] / "docs" / "model-results.md"
QUICK_SECONDS, WIDE_SECONDS = 120.0, 1_800.0


@dataclass(frozen=True, slots=True)
class Row:
    """One check: `verdict` is None if it did not come to an end."""

    checked: Case | Mutant
    verdict: Verdict | None

    @property
    def passed(self) -> bool:
        """A model holds; a mutant is found by the property that it breaks, not by just any."""
        if self.verdict is None:
            return False
        if isinstance(self.checked, Case):
            return self.verdict.violation is None
        return self.broken == self.checked.breaks

    @property
    def broken(self) -> str | None:
        """The name of the property that was violated, None if none was."""
        said = self.verdict.violation if self.verdict else None
        if said is None:
            return None
        return next((name for sign, name in PROPERTIES.items() if sign in said), said)


def check_all(programs: Programs, checked: Sequence[Case | Mutant], *, seconds: float) -> Iterator[Row]:
    for each in checked:
        defines: dict[str, int | None] = dict(each.bounds)
        if isinstance(each, Mutant):
            defines[each.name] = None
        try:
            verdict = check(programs, each.model, defines, each.kind, seconds=seconds, optimise=each in WIDE)
        except UnfinishedError as error:
            print(error, file=sys.stderr)
            verdict = None
        yield Row(each, verdict)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos_tests.model.run", description=__doc__)
    parser.add_argument("--wide", action="store_true", help="the larger bounds as well")
    parser.add_argument("--only", metavar="WORD", help="only what has this word in its model or name")
    options = parser.parse_args(arguments)
    try:
        programs = ensure_programs()
    except MissingToolError as error:
        print(f"not checked: {error}", file=sys.stderr)
        return 2
    checked: list[Case | Mutant] = [*QUICK, *(WIDE if options.wide else ()), *MUTANTS]
    if options.only:
        checked = [each for each in checked if options.only in f"{each.model} {getattr(each, 'name', '')}"]
    rows = []
    for row in check_all(programs, checked, seconds=WIDE_SECONDS if options.wide else QUICK_SECONDS):
        print(_line(row), flush=True)
        rows.append(row)
    print(f"{sum(row.passed for row in rows)} of {len(rows)} as they must be")
    if not options.only:
        DOCUMENT.write_text(page(rows, programs), encoding="utf-8")
        print(f"written: {DOCUMENT}")
    return 0 if rows and all(row.passed for row in rows) else 1


def page(rows: Sequence[Row], programs: Programs) -> str:
    """The results as a page of Markdown. No times: they belong to the machine, and would change with each run."""
    cases = [row for row in rows if isinstance(row.checked, Case)]
    mutants = [(row, row.checked) for row in rows if isinstance(row.checked, Mutant)]
    return "\n".join(
        [
            "# The models' results",
            "",
            "Written by `python -m chaos_tests.model.run`; what the models say, and the code behind each line, is in",
            "[model.md](model.md).",
            "",
            f"{programs.spin_version}. Every state within the bounds was visited; nothing was hashed away.",
            "",
            "## The models hold",
            "",
            "| model | searched for | bounds | states | transitions | depth | verdict |",
            "|---|---|---|--:|--:|--:|---|",
            *(_case(row) for row in cases),
            "",
            "## The mutants are found",
            "",
            f"{sum(row.passed for row, _ in mutants)} of {len(mutants)}. Each is the same model with one guarantee",
            "taken away. The steps are those of the way to the violation, for safety a shortest one.",
            "",
            "| mutant | model | without | violated | steps | states until then | found |",
            "|---|---|---|---|--:|--:|---|",
            *(_mutant(row, mutant) for row, mutant in mutants),
            "",
        ]
    )


def _case(row: Row) -> str:
    verdict = row.verdict
    numbers = f"{verdict.states:,} | {verdict.transitions:,} | {verdict.depth:,}" if verdict else "| | "
    said = "unfinished" if verdict is None else "holds" if row.passed else f"violated: {row.broken}"
    return f"| {row.checked.model} | {row.checked.kind} | {_bounds(row)} | {numbers} | {said} |"


def _mutant(row: Row, mutant: Mutant) -> str:
    verdict = row.verdict
    numbers = f"{row.broken} | {verdict.steps} | {verdict.states:,}" if verdict else "| | "
    return f"| {mutant.name} | {mutant.model} | {mutant.without} | {numbers} | {'yes' if row.passed else '**no**'} |"


def _bounds(row: Row) -> str:
    return ", ".join(f"{name.lower().replace('_', ' ')} {value}" for name, value in row.checked.bounds.items())


def _line(row: Row) -> str:
    verdict = row.verdict
    name = row.checked.name if isinstance(row.checked, Mutant) else f"{row.checked.kind} {_bounds(row)}"
    found = f"violates `{row.broken}` in {verdict.steps} steps, " if verdict and row.broken else ""
    counted = f"{verdict.states:,} states, depth {verdict.depth}, {verdict.seconds:.1f} s" if verdict else "unfinished"
    return f"{'ok ' if row.passed else 'NOT'} {row.checked.model} {name}: {found}{counted}"


if __name__ == "__main__":
    sys.exit(main())
