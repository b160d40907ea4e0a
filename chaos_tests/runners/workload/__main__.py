"""`python -m chaos_tests.runners.workload`: customers of a running system, until the time is over or SIGTERM.

The history is complete when it ends, whatever the system did. Exit code 0: it ran; 1: it could not start.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaos_tests.runners.workload.run import Plan, run
from chaos_tests.runners.workload.setup import OpeningError
from holdfast.target import target_options
from infrastructure.processes import PROCESSES

if TYPE_CHECKING:
    from holdfast.target import Target


@click.command()
@target_options
@click.option(
    "--history", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to append the history to."
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--clients", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--rate", type=click.FloatRange(0.01), help="Orders per second in total; default: as fast as possible.")
@click.option("--seconds", type=click.FloatRange(0), default=60, show_default=True)
@click.option("--orders", type=click.IntRange(1), help="Stop when that many orders were accepted.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(0.1), default=5, show_default=True)
@click.option("--metrics", help="JSON: metrics URLs of the processes, by name. Known for a local stack.")
def main(target: Target, history: Path, metrics: str | None, **options: object) -> None:
    """Place orders like customers, and record every operation before it is sent."""
    plan = Plan(
        url=target.url,
        operator={"username": "operator", "password": target.operator_password},
        history=history,
        metrics=json.loads(metrics) if metrics else counters(target),
        **options,  # type: ignore[arg-type]  # click has checked their types
    )
    try:
        click.echo(f"ended: {asyncio.run(run(plan))}")
    except OpeningError as error:
        raise click.ClickException(str(error)) from error


def counters(target: Target) -> dict[str, str]:
    """The processes of a local stack that count deliveries, with their addresses; unknown for a remote system."""
    if target.stack is None:
        return {}
    urls = target.stack.urls
    return {line.name: urls.http(line.name) for line in PROCESSES if line.name.startswith("worker-")}


if __name__ == "__main__":
    main()
