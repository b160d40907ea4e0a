"""Which system views count as a backlog."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.audit.backlog import BACKLOG_MESSAGES, LAG_SECONDS, Backlog, backlog

KEEPS_UP: dict[str, Any] = {
    "outboxes": [
        {"database": "orders", "seconds": 0.2, "rows": 3},
        {"database": "users", "seconds": None, "rows": None},
    ],
    "queues": [
        {"name": "orders.events", "messages": 3, "consumers": 1, "not_empty_seconds": 900.0},
        {"name": "live.events", "messages": 0, "consumers": 0, "not_empty_seconds": 0.0},
        {"name": "holdfast.retry.600", "messages": 5000, "consumers": 0, "not_empty_seconds": 900.0},
    ],
    "held_up": False,
}
LAGGING = {"database": "payments", "seconds": LAG_SECONDS + 1, "rows": 70}
DEEP = {"name": "payments.events", "messages": BACKLOG_MESSAGES + 1, "consumers": 2, "not_empty_seconds": 61.0}
DESERTED = {"name": "payments.events", "messages": 1, "consumers": 0, "not_empty_seconds": 12.0}


@pytest.mark.parametrize("changes", [{}, {"queues": None}, {"held_up": None}])
def test_a_system_without_a_backlog_is_recognised(changes: dict[str, Any]) -> None:
    assert backlog(KEEPS_UP | changes) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outboxes": [LAGGING]}, Backlog(LAG_SECONDS + 1, "70 events in the outbox of payments")),
        ({"queues": [DEEP]}, Backlog(61, f"{BACKLOG_MESSAGES + 1} messages in payments.events")),
        ({"queues": [DESERTED]}, Backlog(12, "1 messages in payments.events")),
        ({"held_up": True}, Backlog(0, "sagas are held up")),
        ({"held_up": True, "outboxes": [LAGGING], "queues": [DEEP]}, Backlog(61, "201 messages in payments.events")),
    ],
)
def test_the_oldest_backlog_is_named(changes: dict[str, Any], expected: Backlog) -> None:
    assert backlog(KEEPS_UP | changes) == expected


def test_a_backlog_is_described_by_a_sentence() -> None:
    assert str(Backlog(61.4, "sagas are held up")) == "system is behind by 61 s (sagas are held up)"
