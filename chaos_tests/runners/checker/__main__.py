"""`python -m chaos_tests.runners.checker`: waits until the system is idle, reads it, and checks a history.

Exit codes: 0 every promise held; 1 one was broken; 4 unknown, which is not a success.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from chaos_tests.runners.checker import snapshot as snapshots
from chaos_tests.runners.checker.check import check_files
from chaos_tests.runners.checker.collect import TROUBLE, Collector
from chaos_tests.runners.checker.conditions import Thresholds
from chaos_tests.runners.checker.verdict import INVALID, VALID
from chaos_tests.runners.history import read
from holdfast.audit.promises import PROMISES
from holdfast.target import target_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos_tests.runners.checker.verdict import State, Verdict
    from holdfast.target import Target

EXITS: dict[State, int] = {VALID: 0, INVALID: 1}
EXIT_UNKNOWN = 4
COLOURS = {"valid": "green", "invalid": "red", "unknown": "yellow", "untried": "dim"}
SHIPPED = ("celery", "kombu", "pika", "SQLAlchemy", "psycopg2-binary", "pymongo", "flask", "gunicorn", "stripe")
_file = click.Path(dir_okay=False, path_type=Path)


def threshold_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the conditions of a valid run."""
    known = Thresholds()
    for name, what in (("orders", "Accepted orders."), ("recovery_seconds", "Bound of each recovery.")):
        option = f"--minimum-{name}" if name == "orders" else "--recovery"
        default = getattr(known, name)
        command = click.option(option, name, type=type(default), default=default, show_default=True, help=what)(command)
    return command


def waiting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the time-outs."""
    drain = "Time-out for the system to become idle."
    command = click.option("--drain", "drain_seconds", default=180.0, show_default=True, help=drain)(command)
    settle = "How long to re-read mismatches."
    return click.option("--settle", "settle_seconds", default=60.0, show_default=True, help=settle)(command)


@click.group()
def main() -> None:
    """Check a run: `collect` reads the system, `check` checks the files, `judge` does both."""


@main.command()
@target_options
@click.option("--run", "directory", type=click.Path(file_okay=False, path_type=Path), required=True)
@waiting_options
@threshold_options
def judge(target: Target, directory: Path, drain_seconds: float, settle_seconds: float, **thresholds: Any) -> None:
    """Collect and check: reads history.jsonl in the directory; writes snapshot.jsonl and verdict.json there."""
    history, snapshot = directory / "history.jsonl", directory / "snapshot.jsonl"
    _collect(target, history, snapshot, drain_seconds, settle_seconds)
    _judge(history, snapshot, directory / "verdict.json", Thresholds(**thresholds))


@main.command()
@target_options
@click.option("--history", type=_file, required=True)
@click.option("--snapshot", type=_file, required=True, help="File for the snapshot.")
@waiting_options
def collect(target: Target, history: Path, snapshot: Path, drain_seconds: float, settle_seconds: float) -> None:
    """Wait until the system is idle, and write the snapshot of this run."""
    _collect(target, history, snapshot, drain_seconds, settle_seconds)


@main.command()
@click.option("--history", type=_file, required=True)
@click.option("--snapshot", type=_file, required=True)
@click.option("--verdict", type=_file, help="File for the verdict as JSON.")
@threshold_options
def check(history: Path, snapshot: Path, verdict: Path | None, **thresholds: Any) -> None:
    """Check a history with its snapshot, offline."""
    _judge(history, snapshot, verdict, Thresholds(**thresholds))


def _collect(target: Target, history: Path, snapshot: Path, drain_seconds: float, settle_seconds: float) -> None:
    run = next((record for record in read(history) if record["kind"] == "run"), None)
    if run is None:
        _unknown("the history has no beginning")
    with Console(stderr=True).status("Waiting") as status:
        try:
            collector = Collector(target, run, lambda what: status.update(f"Waiting, reading: {what}"))
            taken = collector.collect_patiently(
                drain_seconds=drain_seconds, settle_seconds=settle_seconds, versions=_versions()
            )
        except TROUBLE as error:
            _unknown(f"the system could not be read: {error}")
    snapshots.write(taken, snapshot)


def _judge(history: Path, snapshot: Path, target: Path | None, thresholds: Thresholds) -> None:
    try:
        verdict = check_files(history, snapshot, thresholds)
    except ValueError as error:
        _unknown(str(error))
    if target:
        target.write_text(json.dumps(verdict.document(), indent=1) + "\n")
    show(verdict, Console())
    sys.exit(EXITS.get(verdict.verdict, EXIT_UNKNOWN))


def show(verdict: Verdict, console: Console) -> None:
    """The verdict as text."""
    table = Table(title=f"Verdict: {verdict.verdict}", title_justify="left", title_style="bold")
    for column in ("", "", "", "verdict"):
        table.add_column(column)
    for promise in verdict.promises:
        text = PROMISES[promise.promise]
        table.add_row(promise.promise, text, promise.checked, _coloured(promise.verdict))
    table.add_section()
    for condition in verdict.conditions:
        table.add_row("", condition.name, condition.text, _coloured(condition.verdict))
    console.print(table)
    for promise in verdict.promises:
        for finding in promise.findings[:10]:
            console.print(f"{finding.promise} {finding.subject}: {finding.text}", style="red", highlight=False)


def _coloured(state: State) -> str:
    return f"[{COLOURS[state]}]{state}"


def _versions() -> dict[str, Any]:
    return {name: version(name) for name in SHIPPED} | {"python": sys.version.split()[0]}


def _unknown(text: str) -> NoReturn:
    click.echo(f"The result is unknown: {text}", err=True)
    sys.exit(EXIT_UNKNOWN)


if __name__ == "__main__":
    main()
