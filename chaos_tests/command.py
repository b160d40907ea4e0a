"""holdfast chaos: injects faults into the running system and checks the promises."""

from __future__ import annotations

import json
import random
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from chaos_tests.crashes.run import crashes
from chaos_tests.malformed.run import malformed
from chaos_tests.matrix.run import matrix
from chaos_tests.model.run import model
from chaos_tests.mutants.run import mutants
from chaos_tests.replays.run import replays
from chaos_tests.runners.campaign import Interrupted
from chaos_tests.runners.drivers.driver import driver_of
from chaos_tests.runners.experiments import load_all
from chaos_tests.runners.options import Options, require_settings
from chaos_tests.runners.requirements import missing
from chaos_tests.runners.rollback_journal import BusyError
from chaos_tests.runners.selection import chosen_steps, chosen_target, kept_schedule, require_known
from chaos_tests.runners.session import Session
from holdfast.commands.options import EXIT_FAILED, home_option, no_stack, report_stack_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_tests.runners.experiments import Experiment

EXIT_UNKNOWN, EXIT_INTERRUPTED = 4, 130
EXITS = {"valid": 0, "invalid": EXIT_FAILED, "failed": EXIT_FAILED}


@click.group()
def chaos() -> None:
    """Inject faults into the system under load, and check the promises afterwards.

    `run` starts its own stack, unless --home names a running one. All faults are removed at the end, also after Ctrl-C;
    if this command was killed, `heal` removes them.
    """


@chaos.command("list")
@click.option("--driver", type=click.Choice(["local", "compose"]), default="local", show_default=True)
def show(driver: str) -> None:
    """List the experiments, their targets, and the missing requirements of those that cannot run here."""
    _show(load_all(), driver)


@chaos.command("show")
@click.argument("name")
@click.option("--target-service", "target", default="", help="The target: a process, or a context such as orders.")
def document(name: str, target: str) -> None:
    """Print an experiment in Chaos Toolkit's format: `chaos run x.json --var target=worker-payments` runs it."""
    known = load_all()
    require_known([name], known)
    found = known[name]
    if target:
        found.document["configuration"]["target"]["default"] = chosen_target(found, target)
    click.echo(json.dumps(found.document, indent=2))


@chaos.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every experiment, each alone with its own verdict.")
@click.option("--quick", is_flag=True, help="Ten representative experiments, one after the other in one run.")
@click.option("--random", "is_random", is_flag=True, help="A schedule drawn from the seed, in one run.")
@click.option(
    "--schedule",
    "schedule_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Repeat a stored schedule.",
)
@click.option("--shrink", is_flag=True, help="If a schedule fails, search for a smaller one that fails.")
@click.option("--list", "only_list", is_flag=True, help="List what would run, without running it.")
@click.option("--together", is_flag=True, help="Run the named experiments in one run, not one by one.")
@click.option(
    "--faults", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Number of faults with --random."
)
@click.option("--seed", type=int, help="Seed of the schedule and the workload.  [default: random]")
@click.option("--orders", type=click.IntRange(0), default=0, help="Continue until that many orders were accepted.")
@click.option("--target-service", "target", default="", help="The target: a process, or a context such as orders.")
@click.option("--seconds", "hold_seconds", type=click.FloatRange(0.5, 600), help="How long each fault lasts.")
@click.option("--clients", type=click.IntRange(1, 100), default=8, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(0), default=3, show_default=True, help="Orders per second; 0: as many as possible."
)
@click.option(
    "--recovery", default=30.0, show_default=True, help="Seconds within which orders must be confirmed again."
)
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="A running stack.  [default: its own]")
@click.option("--port-base", type=int, default=8800, show_default=True, help="First port of its own stack.")
@click.option("--rabbitmq-nodes", type=click.Choice([1, 3]), help="RabbitMQ nodes of its own stack.  [default: 1]")
@click.option("--driver", type=click.Choice(["local", "compose"]), default="local", show_default=True)
@click.option("--project", default="holdfast", show_default=True, help="With --driver compose: the project's name.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="The run's directory.")
@click.option(
    "--table",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page that gets a row for each experiment that ran alone; other rows are kept.",
)
@click.option("--keep", is_flag=True, help="Leave its own stack running.")
@click.pass_context
def run(context: click.Context, /, **given: Any) -> None:
    """Run experiments while orders are placed, and check the results.

    Exit codes: 0 every promise held and every experiment passed; 1 one did not; 2 usage error; 3 no stack runs there;
    4 the result is unknown, or nothing could be run; 130 interrupted (faults are removed).
    """
    known = load_all()
    if given.pop("only_list"):
        _show(known, given["driver"])
        return
    kept_seed, kept = kept_schedule(given["schedule_file"], known)
    given["seed"] = next(seed for seed in (given["seed"], kept_seed, random.randrange(2**31)) if seed is not None)
    options = Options(**given)
    if options.home and options.rabbitmq_nodes not in {None, options.nodes}:
        raise click.UsageError(f"the broker in {options.home} has --rabbitmq-nodes {options.nodes}")
    steps = chosen_steps(options, known, kept)
    require_settings(options)
    signal.signal(signal.SIGTERM, _terminated)
    with report_stack_errors(), _report_busy():
        try:
            state = Session(options, known, Console(stderr=True, highlight=False)).run(steps)
        except (Interrupted, KeyboardInterrupt):
            click.echo("Interrupted. All faults are removed.", err=True)
            context.exit(EXIT_INTERRUPTED)
    context.exit(EXITS.get(state, EXIT_UNKNOWN))


@chaos.command()
@home_option
@click.option("--driver", type=click.Choice(["local", "compose"]), default="local", show_default=True)
@click.option("--project", default="holdfast", show_default=True)
def heal(home: Path, driver: str, project: str) -> None:
    """Remove the faults of a run that was killed.

    Exit codes: 0 all faults are removed; 1 one is not; 3 there is no stack's home.
    """
    if driver == "local" and not home.is_dir():
        no_stack(home)
    configuration = {"home": str(home), "driver": driver, "project": project}
    with report_stack_errors():
        journal = driver_of(configuration).journal
        with _report_busy(), journal.held():
            restored, failed = journal.restore_all(configuration)
    for text in restored:
        click.echo(f"restored: {text}")
    for text in failed:
        click.echo(f"not restored: {text}", err=True)
    if not restored and not failed:
        click.echo("No fault is active.")
    if failed:
        raise SystemExit(EXIT_FAILED)


@chaos.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
def report(directory: Path) -> None:
    """Recreate the report of a run from its directory."""
    from chaos_tests.runners.session import make_report  # noqa: PLC0415 - Chaos Toolkit is slow to load

    click.echo(make_report(directory))


def _show(known: dict[str, Experiment], driver: str) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("experiment", "description", "targets", "available"):
        table.add_column(column)
    for experiment in known.values():
        lacks = missing(experiment.requires, driver)
        here = f"[yellow]needs {', '.join(lacks)}" if lacks else "[green]can run"
        name = f"[bold]{experiment.name}[/]{' *' if experiment.quick else ''}"
        table.add_row(name, experiment.title, ", ".join(experiment.targets), here)
    console = Console()
    console.print(table)
    console.print(f"{len(known)} experiments; * are those of --quick.", highlight=False)


@contextmanager
def _report_busy() -> Iterator[None]:
    try:
        yield
    except BusyError as error:
        click.echo(error, err=True)
        raise SystemExit(EXIT_FAILED) from error


def _terminated(*_: object) -> NoReturn:
    """SIGTERM between two experiments acts like Ctrl-C."""
    sys.stderr.write("Terminated.\n")
    raise KeyboardInterrupt


for _program in (matrix, crashes, malformed, replays, mutants, model):
    chaos.add_command(_program)
