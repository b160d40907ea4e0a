"""holdfast bench: measures throughput and latency on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from holdfast.bench.orders import Measured, measure
from holdfast.target import report_unreachable, target_options

if TYPE_CHECKING:
    from holdfast.target import Target


@click.command()
@target_options
@click.option("--connections", type=click.IntRange(1, 256), default=16, show_default=True, help="Concurrent requests.")
@click.option(
    "--seconds", type=click.FloatRange(1, 600), default=10, show_default=True, help="How long to place orders."
)
@click.option(
    "--orders", type=click.IntRange(1, 1_000_000), default=100_000, show_default=True, help="Maximum number of orders."
)
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
def bench(target: Target, connections: int, seconds: float, orders: int, *, as_json: bool) -> None:
    """Place orders as fast as they are accepted, through the gateway, and wait for the last to be confirmed.

    The figures depend on this machine and its current load, and include the load generator: compare them with a
    measurement under the same conditions (as docs/performance.md does).

    Exit codes: 0 measured; 1 an order was refused or never settled; 3 no stack runs there; 4 it does not answer.
    """
    console = Console(stderr=True)
    with report_unreachable(), console.status("Measuring") as status:
        measured = measure(target, connections=connections, seconds=seconds, requests=orders, progress=status.update)
    figures = figures_of(measured)
    if as_json:
        click.echo(json.dumps(figures | {"statuses": measured.accepting.statuses}, indent=2))
    else:
        Console().print(_table(figures))
    if set(measured.accepting.statuses) != {202}:
        click.echo(f"Not every order was accepted: {measured.accepting.statuses}", err=True)
        raise SystemExit(1)


def figures_of(measured: Measured) -> dict[str, float]:
    accepting = measured.accepting
    return {
        "accepted_per_second": round(accepting.per_second, 1),
        "confirmed_per_second": round(measured.confirmed_per_second, 1),
        "p50_ms": round(accepting.percentile_ms(0.5), 1),
        "p99_ms": round(accepting.percentile_ms(0.99), 1),
        "accepted": accepting.statuses.get(202, 0),
        "confirmed": measured.confirmed,
    }


def _table(figures: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    return table
