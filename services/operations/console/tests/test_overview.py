"""The overview: failures are shown, and missing data is never shown as healthy."""

from __future__ import annotations

from typing import Any

import pytest

from services.operations.console.overview import BAD, OK, UNKNOWN, WARN, Overview, overview, undecided

CLOCK = "Open orders are not timed out: the time-out clock is stopped during the outage"
LATE = "3 events of orders wait to be published"
READY: dict[str, list[str]] = {"service-orders": [], "service-archive": []}


def view(**changes: Any) -> dict[str, Any]:
    """The system view of a small, healthy system."""
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
        (
            {"workers": [process("worker-orders", subscribed=False)]},
            (BAD, "worker-orders: paused until what it depends on answers"),
        ),
        ({"queues": [queue(consumers=0, messages=7)]}, (BAD, "7 events for orders wait: no worker consumes them")),
        (
            {"queues": [queue(messages=7, not_empty_seconds=90.0)]},
            (WARN, "7 events for orders wait: its worker has been behind for 1 min 30 s"),
        ),
        ({"outboxes": [outbox(relay=None, rows=3)]}, (BAD, f"{LATE}: no relay process does it")),
        ({"outboxes": [outbox(seconds=6.0, rows=3)]}, (WARN, f"{LATE}, the oldest for 6.0 s")),
        ({"outboxes": [outbox(seconds=60.0, rows=3)]}, (BAD, f"{LATE}, the oldest for 1 min")),
        ({"outboxes": [outbox(set_aside_rows=2)]}, (BAD, "2 events of orders cannot reach any queue")),
        ({"dead_letters": None}, (BAD, "MongoDB: does not answer")),
        ({"queues": None, "unanswered": ["rabbitmq"]}, (BAD, "RabbitMQ: does not answer")),
        (
            {"breakers": [{"process": "x", "breaker": "payment_provider", "state": "open"}]},
            (BAD, "Payment provider: does not answer"),
        ),
        ({"held_up": True}, (WARN, CLOCK)),
        (
            {
                "dead_letters": [
                    {"queue": "q", "status": "filed", "count": 2},
                    {"queue": "q", "status": "x", "count": 5},
                ]
            },
            (WARN, "2 events failed for good and need your decision (dead letters)"),
        ),
        (
            {"undecided": [{"consumer": "payments", "items": 1, "oldest_seconds": 61.0}]},
            (WARN, "1 event for payments is undecided at the payment provider, the oldest for 1 min 1 s"),
        ),
        ({"standing_cases": {"count": 1, "oldest_seconds": 1.0}}, (WARN, "1 refund that the payment provider refuses")),
        ({"last_audit": {"ok": False, "broken": 3}}, (BAD, "The last audit found a broken promise (3)")),
    ],
)
def test_each_failure_is_the_only_problem(changes: dict[str, Any], problem: tuple[str, str]) -> None:
    assert texts(overview(view(**changes), READY)) == [problem]


def test_the_operations_service_is_never_shown_as_down() -> None:
    picture = overview(view(workers=[process("service-operations", alive=False)]), READY)
    assert [problem.state for problem in picture.problems] == [WARN]


def test_an_unready_service_names_its_database() -> None:
    picture = overview(view(), {"service-orders": ["postgres"]})
    assert texts(picture) == [(BAD, "PostgreSQL: does not answer"), (BAD, "service-orders: not ready: postgres")]


def test_missing_data_is_shown_as_unknown() -> None:
    picture = overview(view(queues=None, breakers=[], outboxes=[outbox(seconds=None)]), {})
    states = {part.name: part.state for part in picture.others}
    assert states["PostgreSQL"] == states["Payment provider"] == states["RabbitMQ"] == UNKNOWN
    assert [(row.outbox and row.outbox.state, row.queue and row.queue.state) for row in picture.rows] == [
        (UNKNOWN, UNKNOWN)
    ]


def test_problems_are_sorted_by_severity() -> None:
    picture = overview(view(held_up=True, queues=[queue(consumers=0)]), READY)
    assert [problem.state for problem in picture.problems] == [BAD, WARN]
    assert picture.state == BAD


def test_an_added_context_has_its_own_row() -> None:
    picture = overview(view(workers=[process("service-notifications"), process("worker-notifications")]), READY)
    assert [row.name for row in picture.rows] == ["orders", "notifications"]


def test_a_provider_outage_shows_waiting_work_and_requires_no_action() -> None:
    away = view(
        workers=[process("worker-payments", subscribed=False)],
        queues=[queue(name="payments.events", consumers=0, messages=3)],
        breakers=[{"process": "worker-payments", "breaker": "payment_provider", "state": "open"}],
    )
    picture = overview(away, READY)
    assert [text for _, text in texts(picture)] == [
        "Payment provider: does not answer",
        "3 events for payments wait: its worker has paused until the payment provider answers",
        "worker-payments: paused until the payment provider answers",
    ]
    first = picture.problems[0]
    assert first.advice == "No action is needed: orders wait and resume automatically when it answers."
    assert (first.label, first.values) == ("Orders that wait", {"status": "reserved"})


def test_a_worker_that_has_just_resumed_is_shown_as_resumed() -> None:
    known = view(workers=[process("worker-orders", subscribed=True)], queues=[queue(consumers=0, messages=1)])
    assert texts(overview(known, READY)) == [(BAD, "1 event for orders waits: its worker has just resumed")]


def test_an_event_is_undecided_when_the_cases_page_lists_it() -> None:
    young = {"consumer": "payments", "items": 1, "oldest_seconds": 9.0}
    assert overview(view(undecided=[young]), READY).problems == []
    assert undecided(view(undecided=[young, young | {"oldest_seconds": 10.0}])) == [young | {"oldest_seconds": 10.0}]
