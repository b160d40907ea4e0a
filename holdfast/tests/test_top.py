"""The output of `top` and `orders show`."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from holdfast.commands.orders import timeline
from holdfast.commands.top import picture

VIEW: dict[str, Any] = {
    "checked_at": "2026-01-01T00:00:00Z",
    "unanswered": ["worker-orders"],
    "held_up": True,
    "dead_letters": [
        {"queue": "q", "status": "filed", "count": 2},
        {"queue": "q", "status": "discarded", "count": 7},
    ],
    "undecided": [{"consumer": "payments", "items": 3, "oldest_seconds": 1.0}],
    "standing_cases": {"count": 1, "oldest_seconds": 1.0},
    "workers": [
        {"name": "worker-orders", "alive": False, "subscribed": None},
        {"name": "worker-payments", "alive": True, "subscribed": False},
    ],
    "breakers": [{"process": "worker-payments", "breaker": "payment_provider", "state": "open"}],
    "outboxes": [{"database": "orders", "relay": None, "rows": 4, "seconds": 9.5}],
    "queues": [
        {"name": "orders.events", "messages": 0, "consumers": 1, "not_empty_seconds": 0.0},
        {"name": "holdfast.retry.5s", "messages": 0, "consumers": 0, "not_empty_seconds": 0.0},
        {"name": "holdfast.retry.60s", "messages": 8, "consumers": 0, "not_empty_seconds": 61.0},
    ],
}


def drawn(what: RenderableType) -> str:
    console = Console(width=140, record=True, file=StringIO())
    console.print(what)
    return console.export_text()


def test_failing_and_waiting_parts_are_shown() -> None:
    text = drawn(picture(VIEW))
    for shown in (
        "not answering: worker-orders",
        "dead letters 2  undecided 3  refused refunds 1",
        "orders are held up by an outage",
        "waits for a dependency",
        "payment_provider",
        "no relay",
        "9.5 s",
        "holdfast.retry.60s",
    ):
        assert shown in text
    assert "holdfast.retry.5s" not in text


def test_unknown_values_are_not_shown_as_zero() -> None:
    unknown: dict[str, Any] = {
        "dead_letters": None,
        "standing_cases": None,
        "queues": None,
        "unanswered": [],
        "held_up": None,
    }
    assert "all processes answer  dead letters ?  undecided 3  refused refunds ?" in drawn(picture(VIEW | unknown))


def test_an_orders_events_are_on_one_scale() -> None:
    entries = [
        {"delay_seconds": delay, "type": kind, "summary": "[bold]plain[/bold]"}
        for kind, delay in (("a", 0.0), ("b", 1.0), ("c", 3.0))
    ]
    lines = drawn(timeline(entries)).splitlines()[1:4]
    marks = [line.index("|") for line in lines]
    assert (marks[1] - marks[0]) * 3 - (marks[2] - marks[1]) in range(-3, 4)  # as 1 s to 3 s, in whole characters
    assert "+4.000 s" in lines[2]
    assert "[bold]plain[/bold]" in lines[0]


def test_an_order_without_events_is_no_error() -> None:
    assert "event" in drawn(timeline([]))
