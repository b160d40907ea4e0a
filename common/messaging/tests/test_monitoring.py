"""The limit on a worker's published events."""

from __future__ import annotations

from typing import Any

from celery import Celery

from common.messaging.monitoring import SHOWN_AT_ONCE, Allowance, BoundedDispatcher


class Recorder(BoundedDispatcher):
    """Keeps what would be published."""

    def __init__(self) -> None:
        app = Celery("test", broker="memory://", set_as_current=False)
        super().__init__(app.connection(), app=app, enabled=True, hostname="test")
        self.sent: list[tuple[str, str]] = []

    def _publish(self, event: dict[str, Any], *_: Any, **__: Any) -> None:
        self.sent.append((event["type"], event.get("uuid", "")))


def test_an_allowance_refills_over_time() -> None:
    now = 0.0
    allowance = Allowance(2.0, 3.0, lambda: now)
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]
    now = 0.5
    assert [allowance.take() for _ in range(2)] == [True, False]
    now = 100.0
    assert [allowance.take() for _ in range(4)] == [True, True, True, False]


def test_a_task_is_shown_whole_or_not_at_all() -> None:
    dispatcher = Recorder()
    tasks = [f"t{number}" for number in range(int(SHOWN_AT_ONCE) + 50)]
    for kind in ("task-received", "task-started", "task-succeeded"):
        for task in tasks:
            dispatcher.send(kind, uuid=task)
    shown = {task for _, task in dispatcher.sent}
    assert SHOWN_AT_ONCE <= len(shown) < len(tasks)
    assert len(dispatcher.sent) == 2 * len(shown)


def test_worker_events_are_always_sent() -> None:
    dispatcher = Recorder()
    for _ in range(500):
        dispatcher.send("worker-heartbeat")
    assert len(dispatcher.sent) == 500


def test_nothing_is_kept_of_a_task_that_has_ended() -> None:
    dispatcher = Recorder()
    for kind in ("task-received", "task-started", "task-failed", "task-succeeded"):
        dispatcher.send(kind, uuid="t")
    assert [kind for kind, _ in dispatcher.sent] == ["task-received", "task-failed"]
