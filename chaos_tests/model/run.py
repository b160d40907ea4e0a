"""`holdfast chaos model`: checks the models exhaustively, and that the mutants are found.

Exit code 0: all hold and all mutants are found; 1: failure; 4: nothing can be checked on this machine.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from chaos_tests.model.case import Case, Mutant
from chaos_tests.model.cases import MUTANTS, PROPERTIES, QUICK, WIDE
from chaos_tests.model.checking import UnfinishedError, Verdict, check
from chaos_tests.model.programs import MissingToolError, Programs, ensure_programs
from chaos_tests.runners.programs import Results, finish, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

QUICK_SECONDS, WIDE_SECONDS = 120.0, 1_800.0
EXIT_NOT_CHECKED = 4
HEAD = """# The models' results

Written by `holdfast chaos model`; what the models say, and the code behind each line, is in [model.md](model.md).

{spin}. Every state within the bounds was visited; nothing was hashed away.

## The models hold

"""
MUTANTS_HEAD = """
## The mutants are found

{found} of {count}. Each is the same model with one guarantee taken away. The steps are those of the way to the
violation, for safety a shortest one.

"""


@dataclass(frozen=True, slots=True)
class Checked:
    """One check: `verdict` is None if it did not finish."""

    checked: Case | Mutant
    verdict: Verdict | None

    @property
    def passed(self) -> bool:
        """Whether a model holds; a mutant must violate the expected property, not any other."""
        if self.verdict is None:
            return False
        if isinstance(self.checked, Case):
            return self.verdict.violation is None
        return self.broken == self.checked.breaks

    @property
    def broken(self) -> str | None:
        """The name of the property that was violated, None if none was."""
        violation = self.verdict.violation if self.verdict else None
        if violation is None:
            return None
        return next((name for sign, name in PROPERTIES.items() if sign in violation), violation)


@dataclass(frozen=True, slots=True)
class Row:
    """A check as it is stored: without times, which depend on the machine. `mutant` is empty for an unchanged model."""

    model: str
    mutant: str
    without: str
    kind: str
    bounds: str
    states: int | None
    transitions: int | None
    depth: int | None
    steps: int | None
    violated: str | None
    passed: bool
    spin: str


def check_all(programs: Programs, checked: Sequence[Case | Mutant], *, seconds: float) -> Iterator[Checked]:
    for each in checked:
        defines: dict[str, int | None] = dict(each.bounds)
        if isinstance(each, Mutant):
            defines[each.name] = None
        try:
            verdict = check(programs, each.model, defines, each.kind, seconds=seconds, optimise=each in WIDE)
        except UnfinishedError as error:
            click.echo(error, err=True)
            verdict = None
        yield Checked(each, verdict)


@click.command("model")
@click.option("--wide", is_flag=True, help="The larger bounds as well: some minutes, some gigabytes.")
@click.option("--only", metavar="WORD", help="Only checks with this word in their model or name.")
def model(*, wide: bool, only: str | None) -> None:
    """Check the models of delivery, settlement and saga exhaustively with Spin, and that their mutants are found.

    Exit codes: 0 all hold and all mutants are found; 1 failure; 4 nothing can be checked on this machine.
    """
    try:
        programs = ensure_programs()
    except MissingToolError as error:
        click.echo(f"not checked: {error}", err=True)
        sys.exit(EXIT_NOT_CHECKED)
    checked: list[Case | Mutant] = [*QUICK, *(WIDE if wide else ()), *MUTANTS]
    chosen = [each for each in checked if not only or only in f"{each.model} {getattr(each, 'name', '')}"]
    rows = []
    for each in check_all(programs, chosen, seconds=WIDE_SECONDS if wide else QUICK_SECONDS):
        rows.append(_row(each, programs.spin_version))
        click.echo(rows[-1])
    finish(RESULTS, rows, partly=bool(only))


def _row(checked: Checked, spin: str) -> Row:
    each, verdict = checked.checked, checked.verdict
    return Row(
        model=each.model,
        mutant=getattr(each, "name", ""),
        without=getattr(each, "without", ""),
        kind=each.kind.value,
        bounds=", ".join(f"{name.lower().replace('_', ' ')} {value}" for name, value in each.bounds.items()),
        states=verdict.states if verdict else None,
        transitions=verdict.transitions if verdict else None,
        depth=verdict.depth if verdict else None,
        steps=verdict.steps if verdict else None,
        violated=checked.broken,
        passed=checked.passed,
        spin=spin,
    )


def render(rows: Sequence[Row]) -> str:
    mutants = [row for row in rows if row.mutant]
    models = [_model_cells(row) for row in rows if not row.mutant]
    found = sum(row.passed for row in mutants)
    return (
        HEAD.format(spin=rows[0].spin if rows else "Nothing was checked")
        + table(("model", "searched for", "bounds", "states", "transitions", "depth", "verdict"), models)
        + MUTANTS_HEAD.format(found=found, count=len(mutants))
        + table(("mutant", "model", "without", "violated", "steps", "states", "found"), map(_mutant_cells, mutants))
    )


def _model_cells(row: Row) -> tuple[object, ...]:
    verdict = "holds" if row.passed else f"violated: {row.violated}" if row.violated else "unfinished"
    return row.model, row.kind, row.bounds, _count(row.states), _count(row.transitions), _count(row.depth), verdict


def _mutant_cells(row: Row) -> tuple[object, ...]:
    found = "yes" if row.passed else "**no**"
    return row.mutant, row.model, row.without, row.violated or "", _count(row.steps), _count(row.states), found


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


RESULTS = Results("model", "model-results", Row, lambda row: (row.model, row.mutant, row.kind, row.bounds), render)


if __name__ == "__main__":
    model()
