"""holdfast top: a live view of the system in the terminal."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import requests
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from holdfast.client import ApiError
from holdfast.target import report_unreachable, target_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.client import Client
    from holdfast.target import Target

PATH = "/api/v1/system"
_GOOD, _BAD, _DOUBT = "green", "bold red", "yellow"


@click.command()
@target_options
@click.option(
    "--interval", default=2.0, show_default=True, type=click.FloatRange(0.5, 60), help="Seconds between polls."
)
@click.option("--once", is_flag=True, help="Show it once and exit.")
def top(target: Target, interval: float, *, once: bool) -> None:
    """Watch processes, outboxes, queues and open cases, until Ctrl-C.

    Exit codes: 0 shown; 3 no stack runs there; 4 the system does not answer the first poll.
    """
    client, console = target.operator(), Console(highlight=False)
    with report_unreachable():
        view = client.get(PATH)
    if once:
        console.print(picture(view))
        return
    with suppress(KeyboardInterrupt), Live(picture(view), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            live.update(_poll(client), refresh=True)


def picture(view: Mapping[str, Any]) -> Group:
    """The result of `GET /system` as tables."""
    return Group(_headline(view), _processes(view), _flow(view))


def _poll(client: Client) -> Group:
    try:
        return picture(client.get(PATH))
    except (requests.RequestException, ApiError) as error:
        return Group(Text(f"The system does not answer: {error}", style=_BAD))


def _headline(view: Mapping[str, Any]) -> Text:
    letters = view["dead_letters"]
    waiting = "?" if letters is None else sum(each["count"] for each in letters if each["status"] == "filed")
    undecided = sum(each["items"] for each in view["undecided"])
    refused = view["standing_cases"]["count"] if view["standing_cases"] else "?"
    away = ", ".join(view["unanswered"])
    text = Text(f"{view['checked_at']}  ")
    text.append(f"not answering: {away}" if away else "all processes answer", style=_BAD if away else _GOOD)
    text.append(f"  dead letters {waiting}  undecided {undecided}  refused refunds {refused}")
    if view["held_up"]:
        text.append("  orders are held up by an outage", style=_DOUBT)
    return text


def _processes(view: Mapping[str, Any]) -> Table:
    table = Table(title="Processes", title_justify="left", box=None, header_style="dim")
    for name in ("process", "state", "open breakers"):
        table.add_column(name)
    for each in view["workers"]:
        breakers = [
            breaker["breaker"]
            for breaker in view["breakers"]
            if breaker["process"] == each["name"] and breaker["state"] != "closed"
        ]
        state, style = "up", _GOOD
        if not each["alive"]:
            state, style = "no answer", _BAD
        elif each["subscribed"] is False:
            state, style = "waits for a dependency", _BAD
        table.add_row(each["name"], Text(state, style=style), Text(", ".join(breakers), style=_BAD))
    return table


def _flow(view: Mapping[str, Any]) -> Table:
    table = Table(title="Events in flight", title_justify="left", box=None, header_style="dim")
    table.add_column("where")
    table.add_column("waiting", justify="right")
    table.add_column("for", justify="right")
    table.add_column("taken by")
    for each in view["outboxes"]:
        relay = Text(each["relay"] or "no relay", style="" if each["relay"] else _BAD)
        table.add_row(f"outbox of {each['database']}", _count(each["rows"]), _seconds(each["seconds"]), relay)
    for each in view["queues"] or []:
        if each["name"].endswith(".events") or each["messages"]:
            consumers = Text(f"{each['consumers']} consuming", style="" if each["consumers"] else _DOUBT)
            waited = _seconds(each["not_empty_seconds"])
            table.add_row(each["name"], _count(each["messages"]), waited, consumers)
    return table


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:,.1f} s" if value else ""
