"""holdfast demo: a demonstration in the terminal, in a minute or two."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from holdfast.commands.audit import audited, report, show
from holdfast.commands.options import EXIT_FAILED, program
from holdfast.commands.webhooks import line
from holdfast.demo import shop
from holdfast.demo.run import Course, run
from holdfast.demo.subscriber import subscriber
from holdfast.target import report_unreachable, target_options
from infrastructure.local.home import DEFAULT_HOME

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.demo.subscriber import Subscriber
    from holdfast.target import Target

AUDIT_SECONDS = 60
STATUS_STYLES = {"pending": "yellow", "reserved": "cyan", "confirmed": "green", "cancelled": "magenta"}


@click.command()
@target_options
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the placed orders.")
def demo(target: Target, seed: int) -> None:
    """List products, place orders that succeed, are declined or run out of stock, and audit the results.

    On a local stack a worker is killed during the run. The stack must be up (`make demo` starts it).

    Exit codes: 0 every order settled and every promise is kept; 1 failure; 3 no stack runs there; 4 it cannot be read.
    """
    console = Console(highlight=False)
    started = time.monotonic()
    console.print(Panel.fit("[bold]Holdfast[/]: an accepted order is completed or fully undone, exactly once."))
    _say(console, 1, f"An operator lists {len(shop.PRODUCTS) + 1} products; of the rarest there are {shop.RARE_STOCK}.")
    with report_unreachable():
        shop.fill(target.operator().waiting(shop.START_SECONDS))
    with report_unreachable(), subscriber(target) as shop_system:
        course = _place(console, target, seed)
        _show_two_orders(console, target, course)
        _show_webhooks(console, shop_system)
        _say(console, 5, "The audit asks the API, the payment provider's ledger and the archive, order by order.")
        verdict = audited(target, AUDIT_SECONDS, console)
    show(verdict, console)
    report(target, verdict)
    _print_next_steps(console, target, time.monotonic() - started)
    if verdict.findings or not course.is_settled or not shop_system.is_served:
        raise SystemExit(EXIT_FAILED)


def _place(console: Console, target: Target, seed: int) -> Course:
    total = len(shop.plans(seed))
    _say(console, 2, f"Four customers place {total} orders at once while a worker is killed (kill -9).")
    with Live(console=console, refresh_per_second=12) as live:
        course = Course(show=lambda: live.update(_progress(course, total)))
        run(target, course, seed=seed)
    if not course.is_settled:
        console.print("[red]Some orders are still open; see `holdfast status` and `holdfast logs`.")
    return course


def _progress(course: Course, total: int) -> Group:
    counts = course.counts
    table = Table.grid(padding=(0, 2))
    for status, style in STATUS_STYLES.items():
        bar = ProgressBar(total=total, completed=counts[status], width=40, complete_style=style, finished_style=style)
        table.add_row(f"   [{style}]{status}[/]", bar, str(counts[status]))
    killed = f"   [red]{course.killed} was killed; the supervisor starts it again[/]" if course.killed else ""
    return Group(table, Text.from_markup(killed))


def _show_two_orders(console: Console, target: Target, course: Course) -> None:
    _say(console, 3, "What happened to an order, and why, can be looked up. Two of them:")
    operator = target.operator().waiting(shop.START_SECONDS)
    for status in ("confirmed", "cancelled"):
        order_id = next((key for key, order in course.orders.items() if order["status"] == status), None)
        if order_id is not None:
            timeline = operator.get(f"/api/v1/orders/{order_id}/timeline")["data"]
            console.print(_timeline(order_id, course.orders[order_id], timeline))


def _show_webhooks(console: Console, shop_system: Subscriber) -> None:
    _say(console, 4, "The shop's other system, a receiver on this machine, got signed webhooks (Standard Webhooks).")
    received = shop_system.collect()
    if shop_system.refusal:
        console.print(f"   [yellow]not tried: this system may not send to this machine ({shop_system.refusal})")
    elif not shop_system.is_served:
        console.print("   [red]no webhook came, or one was not verified; see `holdfast logs worker-notifications`.")
    else:
        console.print(f"   {line(received[0])}", markup=False)
        console.print(f"   [green]{len(received)} received, the signature of each verified")


def _timeline(order_id: str, order: dict[str, Any], entries: list[dict[str, Any]]) -> Table:
    reason = f", {order['cancel_reason']}" if order["cancel_reason"] else ""
    table = Table(title=f"{order_id}: {order['status']}{reason}", title_justify="left", title_style="bold", box=None)
    table.add_column("after", justify="right", style="dim")
    table.add_column("event", style="cyan")
    table.add_column("")
    for entry in entries:
        table.add_row(f"+{entry['delay_seconds']:.3f} s", entry["type"], entry["summary"])
    return table


def _say(console: Console, number: int, text: str) -> None:
    console.print(f"\n[bold]{number}.[/] {text}")


def _print_next_steps(console: Console, target: Target, seconds: float) -> None:
    console.print(f"\n[bold]Done[/] in {seconds:.0f} s. What to look at next:")
    table = Table.grid(padding=(0, 2))
    table.add_row("   The console", f"{target.url}/")
    if target.stack is not None:
        table.add_row("     sign in as", f"operator  {target.stack.credentials.operator_password}")
    table.add_row("   The API, to try out", f"{target.url}/docs")
    if target.stack is not None:
        table.add_row("   E-mails to customers", f"{target.stack.urls.http('mail-catcher')}/mails")
        command = _command(target.stack.home.path)
        table.add_row("   The processes", command.format("status"))
        table.add_row("   The log of a process", command.format("logs worker-orders"))
        table.add_row("   Received webhooks", command.format("webhooks listen"))
        table.add_row("   A token for your own calls", command.format("token --role customer"))
        table.add_row("   Every address, with its password", command.format("status --json"))
        table.add_row("   Another audit", command.format("audit"))
        table.add_row("   Stop the system", command.format("down"))
    console.print(table)


def _command(home: Path) -> str:
    """The command line to type here, with placeholders."""
    at = "" if home == DEFAULT_HOME.absolute() else f" --home {home}"
    return f"{program()} {{}}{at}"
