"""Read-only monitoring of a worker (Flower, `celery inspect`).

A worker publishes Celery's events for a limited number of tasks per second. Publishing all would cost a fifth of the
processor time of an order, so tasks beyond the limit are not shown: an idle system shows every task, a busy one a
sample of complete tasks. So do not count these events; use the worker's metrics.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.events.dispatcher import EventDispatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

# Of remote control: inspection, and enabling events.
ALLOWED_COMMANDS = (
    *("active", "active_queues", "clock", "conf", "ping", "query_task", "registered", "report", "reserved"),
    *("revoked", "scheduled", "stats", "enable_events", "disable_events", "heartbeat"),
)
SHOWN_PER_SECOND = 5.0
SHOWN_AT_ONCE = 100.0
_RECEIVED, _STARTED = "task-received", "task-started"


def enable_monitoring(app: Celery) -> None:
    """Call it before the worker starts. For example `revoke` would discard events; only a supervisor stops a worker."""
    from celery.worker.control import Panel  # noqa: PLC0415 - the module sets up state when imported

    for name in set(Panel.data).difference(ALLOWED_COMMANDS):
        del Panel.data[name]
    # By default the mailbox uses the serializer of events, and cannot parse the commands.
    mailbox: Any = app.control.mailbox  # type: ignore[attr-defined]  # the stubs lack it
    mailbox.accept, mailbox.serializer = ["json"], "json"
    app.events.dispatcher_cls = f"{__name__}:{BoundedDispatcher.__name__}"


def is_for_remote_control(message: Any) -> bool:
    """Whether a message came through the mailbox of remote control, not the queue of events."""
    return message.delivery_info.get("consumer_tag") in (message.channel.no_ack_consumers or ())


class Allowance:
    """A rate per second with a burst of the same size. Used by one thread."""

    def __init__(self, per_second: float, at_once: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._at_once, self._clock = per_second, at_once, clock
        self._left, self._asked_at = at_once, clock()

    def take(self) -> bool:
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._asked_at) * self._per_second)
        self._asked_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class BoundedDispatcher(EventDispatcher):
    """Celery's dispatcher; publishes an event of a task if it published the task's first one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._allowance = Allowance(SHOWN_PER_SECOND, SHOWN_AT_ONCE)
        self._shown: set[str] = set()  # the tasks in flight, bounded by the pool size
        super().__init__(*args, **kwargs)

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002 - Celery calls it so
        # A worker starts a task as soon as it receives it, so one of the two messages is redundant.
        if type == _STARTED or (type.startswith("task-") and not self._is_shown(type, str(fields.get("uuid")))):
            return None
        return super().send(type, *args, **fields)

    def _is_shown(self, kind: str, task_id: str) -> bool:
        if kind == _RECEIVED and self._allowance.take():
            self._shown.add(task_id)
        shown = task_id in self._shown
        if shown and kind != _RECEIVED:
            self._shown.discard(task_id)
        return shown
