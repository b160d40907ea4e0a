"""The picture of the system: what fails is seen, and what is not known is not shown as good."""

from __future__ import annotations

from typing import Any

import pytest

from services.operations.console.overview import BAD, OK, UNKNOWN, WARN, Overview, overview

READY: dict[str, list[str]] = {"service-orders": [], "service-archive": []}


def view(**changes: Any) -> dict[str, Any]:
    """The system view of a small system in which all is well."""
    return {
        "checked_at": "2026-01-01T00:00:00Z",
        "outboxes": [outbox()],
        "queues": [queue()],
        "workers": [process("service-orders"), process("worker-orders"), process("relay-1")],
        "breakers": [{"process": "worker-payments", "breaker": "payment_provider", "state": "closed"}],
        "sweeps": [],
        "held_up": False,
        "standing_cases": {"count": 0, "oldest_seconds": 0.0},
        "undecided": [],
        "last_reconciliation_at": None,
        "dead_letters": [],
        "last_audit": None,
        "unanswered": [],
    } | changes


def process(name: str, **changes: Any) -> dict[str, Any]:
    known = {"name": name, "alive": True, "subscribed": None, "last_seen_at": None, "started_at": None}
    return known | changes


def outbox(**changes: Any) -> dict[str, Any]:
    return {"database": "orders", "relay": "relay-1", "seconds": 0.0, "rows": 0, "set_aside_rows": 0} | changes


def queue(**changes: Any) -> dict[str, Any]:
    return {"name": "orders.events", "messages": 0, "consumers": 1, "not_empty_seconds": 0.0} | changes


def texts(picture: Overview) -> list[tuple[str, str]]:
    return [(problem.state, problem.text) for problem in picture.problems]


def test_a_healthy_system_has_no_problems() -> None:
    picture = overview(view(), READY)
    assert (picture.state, picture.problems) == (OK, [])
    assert [(row.name, row.queue and row.queue.text) for row in picture.rows] == [("orders", "empty")]
    assert {part.name: part.state for part in picture.others} == {
        "PostgreSQL": OK, "RabbitMQ": OK, "MongoDB": OK, "Payment provider": OK, "relay-1": OK,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"workers": [process("worker-orders", alive=False)]}, (BAD, "worker-orders: does not answer, not seen yet")),
        ({"workers": [process("worker-orders", subscribed=False)]}, (BAD, "worker-orders: waits for a dependency")),
        ({"queues": [queue(consumers=0, messages=7)]}, (BAD, "orders.events: no consumer, 7 wait")),
        (
            {"queues": [queue(messages=7, not_empty_seconds=90.0)]},
            (WARN, "orders.events: 7 wait, not empty for 1 min 30 s"),
        ),
        ({"outboxes": [outbox(relay=None, rows=3)]}, (BAD, "outbox of orders: no relay publishes, 3 wait")),
        ({"outboxes": [outbox(seconds=6.0, rows=3)]}, (WARN, "outbox of orders: 3 wait, 6.0 s")),
        ({"outboxes": [outbox(seconds=60.0, rows=3)]}, (BAD, "outbox of orders: 3 wait, 1 min")),
        ({"outboxes": [outbox(set_aside_rows=2)]}, (BAD, "outbox of orders: 2 unroutable")),
        ({"dead_letters": None}, (BAD, "MongoDB: does not answer")),
        ({"queues": None, "unanswered": ["rabbitmq"]}, (BAD, "RabbitMQ: does not answer")),
        (
            {"breakers": [{"process": "x", "breaker": "payment_provider", "state": "open"}]},
            (BAD, "Payment provider: does not answer: its breaker is open"),
        ),
        ({"held_up": True}, (WARN, "The time-out clock of orders is stopped: an outage holds orders up")),
        (
            {
                "dead_letters": [
                    {"queue": "q", "status": "filed", "count": 2},
                    {"queue": "q", "status": "x", "count": 5},
                ]
            },
            (WARN, "2 dead letters to be decided"),
        ),
        (
            {"undecided": [{"consumer": "payments", "items": 1, "oldest_seconds": 61.0}]},
            (WARN, "payments: 1 undecided event, the oldest for 1 min 1 s"),
        ),
        ({"standing_cases": {"count": 1, "oldest_seconds": 1.0}}, (WARN, "1 refund that the payment provider refuses")),
        ({"last_audit": {"ok": False, "broken": 3}}, (BAD, "The last audit found a broken promise (3)")),
    ],
)
def test_each_failure_is_the_one_problem(changes: dict[str, Any], problem: tuple[str, str]) -> None:
    assert texts(overview(view(**changes), READY)) == [problem]


def test_the_service_that_shows_the_page_is_not_away() -> None:
    picture = overview(view(workers=[process("service-operations", alive=False)]), READY)
    assert [problem.state for problem in picture.problems] == [WARN]


def test_a_service_that_is_not_ready_names_its_database() -> None:
    picture = overview(view(), {"service-orders": ["postgres"]})
    assert texts(picture) == [(BAD, "PostgreSQL: does not answer"), (BAD, "service-orders: not ready: postgres")]


def test_what_nobody_can_say_is_unknown() -> None:
    picture = overview(view(queues=None, breakers=[], outboxes=[outbox(seconds=None)]), {})
    states = {part.name: part.state for part in picture.others}
    assert states["PostgreSQL"] == states["Payment provider"] == states["RabbitMQ"] == UNKNOWN
    assert [(row.outbox and row.outbox.state, row.queue and row.queue.state) for row in picture.rows] == [
        (UNKNOWN, UNKNOWN)
    ]


def test_the_worst_comes_first() -> None:
    picture = overview(view(held_up=True, queues=[queue(consumers=0)]), READY)
    assert [problem.state for problem in picture.problems] == [BAD, WARN]
    assert picture.state == BAD


def test_a_context_that_came_later_has_a_row_of_its_own() -> None:
    picture = overview(view(workers=[process("service-notifications"), process("worker-notifications")]), READY)
    assert [row.name for row in picture.rows] == ["orders", "notifications"]
