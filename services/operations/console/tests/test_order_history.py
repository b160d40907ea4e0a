"""An order's steps on the time scale."""

from __future__ import annotations

from typing import Any

from services.operations.console.order_history import WIDTH, build


def entry(kind: str, moment: str) -> dict[str, Any]:
    return {"type": kind, "source": "/services/x", "time": moment, "summary": "s", "data": {}}


def test_steps_are_sorted_by_time() -> None:
    history = build(
        [entry("b", "2026-01-01T00:00:10Z"), entry("a", "2026-01-01T00:00:00Z"), entry("c", "2026-01-01T00:00:40Z")], []
    )
    assert [(step.type, step.seconds, step.start, step.end) for step in history.steps] == [
        ("a", 0.0, 0.0, 0.0),
        ("b", 10.0, 0.0, WIDTH / 4),
        ("c", 40.0, WIDTH / 4, WIDTH),
    ]
    assert history.seconds == 40.0


def test_failures_are_marked() -> None:
    states = {kind: build([entry(kind, "2026-01-01T00:00:00Z")], []).steps[0].state for kind in (
        "attempt.failed.v1", "payment.declined.v1", "order.cancelled.v1", "order.placed.v1",
    )}  # fmt: skip
    assert list(states.values()) == ["bad", "bad", "warn", "ok"]


def test_each_webhook_attempt_and_operator_action_is_a_step() -> None:
    attempts = [
        {"at": "2026-01-01T00:00:03Z", "status_code": None, "error": "timed out", "latency_seconds": 20.0},
        {"at": "2026-01-01T00:00:08Z", "status_code": 204, "error": "", "latency_seconds": 0.02},
    ]
    delivery = {"event_type": "order.placed.v1", "endpoint_id": "e1", "status": "delivered", "history": attempts}
    unsent = {
        "event_type": "order.placed.v1", "endpoint_id": "e2", "status": "failed", "history": [],
        "reason": "endpoint_disabled", "created_at": "2026-01-01T00:00:04Z",
    }  # fmt: skip
    act = {"at": "2026-01-01T00:00:05Z", "kind": "refund", "name": "olga", "reason": "broken", "outcome": "done"}
    lost = act | {"at": "2026-01-01T00:00:06Z", "outcome": None}
    history = build([entry("a", "2026-01-01T00:00:00Z")], [], [delivery, unsent], [act, lost])
    assert [(step.seconds, step.state, step.endpoint_id) for step in history.steps] == [
        (0.0, "ok", ""),
        (3.0, "bad", "e1"),
        (4.0, "bad", "e2"),
        (5.0, "ok", ""),
        (6.0, "bad", ""),
        (8.0, "ok", "e1"),
    ]
    texts = " ".join(step.text for step in history.steps)
    for part in ("timed out after 20.00 s", "endpoint disabled", "By olga (broken)", "outcome unknown", "answered 204"):
        assert part in texts


def test_the_scale_omits_the_wait_for_an_operator() -> None:
    act = {"at": "2026-01-01T00:01:40Z", "kind": "re-check", "name": "olga", "reason": "", "outcome": "done"}
    entries = [
        entry("a", "2026-01-01T00:00:00Z"),
        entry("b", "2026-01-01T00:00:01Z"),
        entry("c", "2026-01-01T00:01:41Z"),
    ]
    found = build(entries, [], (), [act | {"result": "now refunded"}])
    assert [(step.seconds, step.start, step.end) for step in found.steps] == [
        (0.0, 0.0, 0.0),
        (1.0, 0.0, WIDTH / 2),
        (100.0, WIDTH / 2, WIDTH / 2),
        (101.0, WIDTH / 2, WIDTH),
    ]
    assert (found.seconds, found.has_acts, found.steps[2].is_act) == (2.0, True, True)
    assert found.steps[2].text == "By olga: now refunded"


def test_released_stock_is_routine() -> None:
    assert build([entry("stock.released.v1", "2026-01-01T00:00:00Z")], []).steps[0].state == "ok"


def test_an_order_without_events_has_an_empty_history() -> None:
    assert build([], []).steps == []
