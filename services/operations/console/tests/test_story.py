"""An order's steps on their scale."""

from __future__ import annotations

from typing import Any

from services.operations.console.story import WIDTH, story


def entry(kind: str, moment: str) -> dict[str, Any]:
    return {"type": kind, "source": "/services/x", "time": moment, "summary": "s", "data": {}}


def test_steps_are_by_time_each_from_the_one_before() -> None:
    told = story(
        [entry("b", "2026-01-01T00:00:10Z"), entry("a", "2026-01-01T00:00:00Z"), entry("c", "2026-01-01T00:00:40Z")], []
    )
    assert [(step.type, step.seconds, step.start, step.end) for step in told.steps] == [
        ("a", 0.0, 0.0, 0.0),
        ("b", 10.0, 0.0, WIDTH / 4),
        ("c", 40.0, WIDTH / 4, WIDTH),
    ]
    assert told.seconds == 40.0


def test_failures_are_marked() -> None:
    states = {kind: story([entry(kind, "2026-01-01T00:00:00Z")], []).steps[0].state for kind in (
        "attempt.failed.v1", "payment.declined.v1", "order.cancelled.v1", "order.placed.v1",
    )}  # fmt: skip
    assert list(states.values()) == ["bad", "bad", "warn", "ok"]


def test_nothing_is_an_empty_story() -> None:
    assert story([], []).steps == []
