"""What those who watch a worker (Flower, `celery inspect`) see of it, and that they change nothing.

A worker tells them Celery's events, of a bounded number of tasks a second. All of it would cost a fifth of what an
order takes of the processor, so what goes beyond the bound is not shown: a quiet system shows every task, a busy one a
sample, each task of it from its beginning to its end. So these events count nothing: the worker's own metrics do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.events.dispatcher import EventDispatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

# What remote control may do: look, and switch on what lets others look.
LOOKS = (
    *("active", "active_queues", "clock", "conf", "ping", "query_task", "registered", "report", "reserved"),
    *("revoked", "scheduled", "stats", "enable_events", "disable_events", "heartbeat"),
)
SHOWN_PER_SECOND = 5.0
SHOWN_AT_ONCE = 100.0
_RECEIVED, _STARTED = "task-received", "task-started"


def enable_monitoring(app: Celery) -> None:
    """Before the worker starts. `revoke`, say, would throw events away; who supervises a worker ends it."""
    from celery.worker.control import Panel  # noqa: PLC0415 - the module sets up state when imported

    for name in set(Panel.data).difference(LOOKS):
        del Panel.data[name]
    # Left to itself the box speaks events' own format, and understands nothing that anybody sends.
    mailbox: Any = app.control.mailbox  # type: ignore[attr-defined]  # the stubs lack it
    mailbox.accept, mailbox.serializer = ["json"], "json"
    app.events.dispatcher_cls = f"{__name__}:{BoundedDispatcher.__name__}"


def is_for_remote_control(message: Any) -> bool:
    """Whether a message came to the box of remote control, and not by the queue of events."""
    return message.delivery_info.get("consumer_tag") in (message.channel.no_ack_consumers or ())


class Allowance:
    """So many a second, and after a pause so many at once. Asked by one thread."""

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
    """Celery's dispatcher; an event of a task goes on if the task's first one did."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._allowance = Allowance(SHOWN_PER_SECOND, SHOWN_AT_ONCE)
        self._shown: set[str] = set()  # those in hand, which the pool's size bounds
        super().__init__(*args, **kwargs)

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002 - Celery calls it so
        # A worker starts on a task as soon as it receives it: of the two messages one says nothing new.
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
