"""holdfast up, down, restart, status: the native stack from the terminal."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from holdfast.commands.options import EXIT_FAILED, EXIT_NO_STACK, home_option, no_stack, program, report_stack_errors
from holdfast.commands.steps import shown_steps
from infrastructure.local.errors import StackError
from infrastructure.local.home import DEFAULT_HOME, existing_home
from infrastructure.local.stack import Stack
from infrastructure.local.startup import Extent
from infrastructure.local.status import RUNNING

_STYLES = {RUNNING: "green", "stopped": "dim"}


@click.command()
@home_option
@click.option(
    "--port-base", type=int, help="The first port of the stack.  [default: the home's, or 8000, or free ones]"
)
@click.option(
    "--rabbitmq-nodes",
    type=int,
    help="1, or 3 for a cluster; fixed for a home.  [default: the home's, or 1]",
)
@click.option(
    "--servers-only",
    is_flag=True,
    help="Start only PostgreSQL, RabbitMQ, MongoDB and the payment sandbox, for services started by hand, with "
    "tables, queues and first users.",
)
def up(home: Path, port_base: int | None, rabbitmq_nodes: int | None, servers_only: bool) -> None:
    """Start the stack; return when all of it is ready.

    Running processes are not touched, so it is idempotent. After a crash it continues. Missing servers are downloaded
    into a private folder first (HOLDFAST_CACHE). With STRIPE_API_KEY in the environment, payments go to Stripe instead
    of the sandbox.

    Exit codes: 0 everything is ready; 1 something is not, and the reason is printed.
    """
    stack = Stack(home, port_base, rabbitmq_nodes)
    ran_before = stack.is_running
    try:
        with shown_steps("Starting") as progress:
            stack.up(Extent.PREPARED_SERVERS if servers_only else Extent.EVERYTHING, progress)
    except StackError as error:
        click.echo(f"\n{error}", err=True)
        if stack.is_running and not ran_before:
            click.echo(f"\nThe started processes keep running; `{program()} down --home {home}` stops them.", err=True)
        raise SystemExit(EXIT_FAILED) from error
    if servers_only:
        click.echo("The servers are ready. To start a service on them:")
        click.echo(f"  {program()} env orders --write{'' if home == DEFAULT_HOME else f' --home {home}'}")
        click.echo(f"  cd services/orders && {'python' if program() == 'holdfast' else sys.executable} main.py")
    else:
        click.echo(f"Ready: {stack.urls.http('gateway')} (the console; the API is described at /docs)")
        click.echo(f"Sign in as operator with {stack.credentials.operator_password}")


@click.command()
@home_option
@click.option("--delete-data", is_flag=True, help="Also delete the home with all its data.")
def down(home: Path, delete_data: bool) -> None:
    """Stop the stack. Data is kept unless --delete-data is given.

    Exit codes: 0 all processes are stopped (also if none ran); 1 one could not be stopped.
    """
    if existing_home(home) is None:
        click.echo(f"There is no stack in {home}.")
        return
    with report_stack_errors(), shown_steps("Stopping") as progress:
        Stack(home).down(progress, delete_data=delete_data)
    click.echo(f"The stack in {home} is stopped.")


@click.command()
@click.argument("processes", metavar="[PROCESS]...", nargs=-1)
@home_option
def restart(home: Path, processes: tuple[str, ...]) -> None:
    """Restart the named processes one after the other; without a name all except the servers.

    Each one finishes its work in flight, and the next one restarts when it is ready again. Requests wait during a
    restart: none fails. Processes keep the settings of `up`. (postgres, rabbitmq and mongodb are restarted only by
    name; while PostgreSQL is down, requests get 503.)

    Exit codes: 0 all are ready again; 1 one is not, and the later ones were not restarted; 3 no stack runs in this
    home.
    """
    stack = Stack(home)
    if not stack.is_running:
        no_stack(home)
    with report_stack_errors(), shown_steps("Restarting") as progress:
        stack.restart(*processes, progress=progress)
    click.echo("All processes are ready again.")


@click.command()
@home_option
@click.option("--json", "as_json", is_flag=True, help="All addresses, with credentials, and all processes.")
def status(home: Path, as_json: bool) -> None:
    """Show the processes of the stack and their state.

    Exit codes: 0 every process runs; 1 at least one does not; 3 no stack runs in this home.
    """
    stack = Stack(home)
    if existing_home(home) is None:
        no_stack(home)
    with report_stack_errors():
        found = stack.status()
        running = stack.is_running
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print_table(found)
    if not running:
        raise SystemExit(EXIT_NO_STACK)
    if not as_json:
        click.echo(f"\n{found['gateway']} is the gateway; --json has every address, with its password.")
    if any(process["state"] != RUNNING for process in found["processes"]):
        raise SystemExit(EXIT_FAILED)


def _print_table(found: dict[str, Any]) -> None:
    table = Table("process", "state", "pid", "port", box=None, pad_edge=False)
    for process in found["processes"]:
        style = _STYLES.get(process["state"], "red")
        pid = str(process["pid"] or "")
        table.add_row(process["name"], f"[{style}]{process['state']}[/]", pid, str(process["port"]))
    Console().print(table)
