"""The runner of long suites, and the format of their results.

A program measures rows, one after the other, on its own stack. It writes two files of one name to `docs/`: a JSON
summary, `{"program", "machine", "passed", "rows"}`, and a page generated from the same rows. If only some rows were
measured (`--only`), the others are kept.
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import click

from chaos_tests.runners.system import System
from holdfast.commands.options import EXIT_FAILED
from infrastructure.local.termination import exit_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

DIRECTORY = Path(__file__).parents[2] / "docs"


class Row(Protocol):
    """A dataclass of JSON values."""

    @property
    def passed(self) -> bool: ...


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Results(Generic[R]):
    """The stored rows of a program. `key` identifies a row, `render` creates the page."""

    program: str
    page: str
    row: Callable[..., R]
    key: Callable[[R], Hashable]
    render: Callable[[Sequence[R]], str]
    directory: Path = DIRECTORY

    def read(self) -> list[R]:
        """Return the stored rows, if any."""
        file = self.directory / f"{self.page}.json"
        return [self.row(**known) for known in json.loads(file.read_text())["rows"]] if file.exists() else []

    def write(self, rows: Sequence[R]) -> None:
        """Write the summary, and the page generated from it."""
        summary = {
            "program": f"holdfast chaos {self.program}",
            "machine": machine(),
            "passed": all(row.passed for row in rows),
            "rows": [asdict(row) for row in rows],  # type: ignore[call-overload]  # a protocol cannot ask for a dataclass
        }
        (self.directory / f"{self.page}.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        (self.directory / f"{self.page}.md").write_text(self.render(rows), encoding="utf-8")

    def merge(self, rows: Iterable[R], order: Sequence[Hashable] | None = None) -> list[R]:
        """Return the measured rows and the stored ones that were not measured, in `order`."""
        known = {self.key(row): row for row in [*self.read(), *rows]}
        return [known[key] for key in (order or known) if key in known]


def command(results: Results[R], *, port_base: int) -> Callable[[Callable[..., Iterator[R]]], click.Command]:
    """Create a click command from a function `(system, **options)` that yields measured rows.

    An empty or absent `only` means that everything was measured; `order` is the row order of the first run.
    """

    def decorate(measure: Callable[..., Iterator[R]]) -> click.Command:
        @click.command(results.program)
        @click.option(
            "--home", default=f".holdfast-{results.program}", show_default=True, help="Directory of its own stack."
        )
        @click.option("--port-base", default=port_base, show_default=True, help="First port of its own stack.")
        @wraps(measure)
        def run(home: str, port_base: int, **options: Any) -> None:
            exit_on_sigterm()
            rows: list[R] = []
            system = System(home, port_base)
            try:
                system.start()
                for row in measure(system, **options):
                    click.echo(row)
                    rows.append(row)
            finally:
                system.stop()
            finish(results, rows, partly=bool(options.get("only")))

        return run

    return decorate


def finish(results: Results[R], rows: Sequence[R], *, partly: bool = False) -> None:
    """Write the results and exit: code 0 if every measured row passed, 1 if one did not or none was measured."""
    order = [results.key(row) for row in results.read()] if partly else None
    extended = [*order, *(key for row in rows if (key := results.key(row)) not in order)] if order else None
    results.write(results.merge(rows, extended) if partly else rows)
    passed = sum(row.passed for row in rows)
    click.echo(f"{passed} of {len(rows)} passed. Written: docs/{results.page}.md, docs/{results.page}.json")
    if not rows or passed < len(rows):
        raise SystemExit(EXIT_FAILED)


def machine() -> str:
    """Return the kind of the measuring machine."""
    return f"{platform.system()}, {platform.machine()}, CPython {platform.python_version()}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table of Markdown; `|` and line breaks in cells are escaped."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
