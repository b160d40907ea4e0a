"""holdfast orders: the whole history of an order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from holdfast.commands.dead_letters import PATH as DEAD_LETTERS
from holdfast.commands.dead_letters import exit_on_refusal
from holdfast.target import target_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from holdfast.target import Target

STYLES = {"confirmed": "bold green", "cancelled": "bold red"}
MAX_LETTERS = 100  # the newest ones; the console shows older ones as well
_BAR = 24


@click.group()
def orders() -> None:
    """Inspect orders."""


@orders.command("show")
@click.argument("order_id", type=click.UUID)
@target_options
@click.option("--json", "as_json", is_flag=True, help="What the services return, as JSON.")
def show(target: Target, order_id: UUID, *, as_json: bool) -> None:
    """Show the history of an order, to scale, and the state of its payment.

    Exit codes: 0 shown; 1 there is no such order, or the system does not answer; 3 no stack runs there.
    """
    client = target.operator()
    with exit_on_refusal():
        order = client.get(f"/api/v1/orders/{order_id}")
        payments = client.get("/api/v1/payments", order_id=str(order_id))["data"]
        entries = client.get(f"/api/v1/orders/{order_id}/timeline")["data"]
        newest = client.get(DEAD_LETTERS, status="filed", limit=MAX_LETTERS)["data"]
    letters = [letter for letter in newest if letter["order_id"] == str(order_id)]
    if as_json:
        click.echo(json.dumps({"order": order, "payments": payments, "timeline": entries, "dead_letters": letters}))
        return
    console = Console(highlight=False)
    reason = f", {order['cancel_reason']}" if order["cancel_reason"] else ""
    console.print(Text(f"{order['id']}: {order['status']}{reason}", style=STYLES.get(order["status"], "bold yellow")))
    for payment in payments:
        amount, refunded = payment["amount"], payment["refunded"]["amount"]
        console.print(
            f"payment {payment['id']}: {payment['status']}, {amount['amount']} {amount['currency']},"
            f" {refunded} refunded"
        )
    console.print(timeline(entries))
    for letter in letters:
        console.print(Text(f"dead letter {letter['id']} in {letter['queue']}: {letter['error']}", style="red"))


def timeline(entries: Sequence[Mapping[str, Any]]) -> Table:
    """The order's events, each with a bar from the one before it, on one scale."""
    total = sum(entry["delay_seconds"] for entry in entries) or 1.0
    table = Table(box=None, header_style="dim")
    table.add_column("after", justify="right")
    table.add_column("", width=_BAR)
    table.add_column("event", style="cyan")
    table.add_column("")
    passed = 0.0
    for entry in entries:
        start = round(passed / total * (_BAR - 1))
        passed += entry["delay_seconds"]
        end = round(passed / total * (_BAR - 1))
        bar = " " * start + "-" * (end - start) + "|"
        table.add_row(f"+{passed:.3f} s", bar, entry["type"], Text(entry["summary"]))
    return table
