"""Starts received events: new ones at once, redelivered ones one after the other.

It replaces the call by which Celery hands a task to its pool: Celery receives, shows (Flower) and supervises each event
as a separate task. Guarantee: a message that kills its worker each time does not push healthy ones to the broker's
delivery limit, although every message in flight counts a delivery (`docs/decisions/0026`). All but `_soon` is
called by the thread that reads the connection.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

from celery.bootsteps import RUN  # type: ignore[attr-defined]  # the stubs lack it
from celery.exceptions import TaskRevokedError

if TYPE_CHECKING:
    from collections.abc import Callable

# The broker redelivers a dead worker's messages together: after this long without another one, all have arrived.
GATHER_SECONDS = 0.05


class EventRunner:
    """Starts each event of a worker alone."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._redelivered: list[Any] = []
        self._is_redelivering = False
        self._ended: deque[Callable[[], object]] = deque()
        consumer.on_task_request = self.add

    def watch(self, receive: Callable[[Any], object]) -> Callable[[Any], object]:
        """A new connection, whose messages `receive` gets: messages of the old one are redelivered."""
        self._redelivered.clear()
        self._consumer.hub.call_later(0, self._run_ended)
        return receive

    def add(self, request: Any) -> None:
        """Start an event that Celery has received."""
        if request.delivery_info["redelivered"]:
            self._add_redelivered(request)
        else:
            self._add_new(request)

    def _add_new(self, request: Any) -> None:
        self._start_alone(request)

    def _add_redelivered(self, request: Any) -> None:
        """One of these may have killed its worker, so they are handled one after the other, in a random order.

        Handled concurrently, the killer would end the worker before the others are done; in a fixed order the same
        messages would be held back each time.
        """
        self._redelivered.append(request)
        if not self._is_redelivering:
            self._is_redelivering = True
            self._gather_redelivered()

    def _gather_redelivered(self, known: int = 0) -> None:
        """Wait until no more of them arrive: the killer often arrives first."""
        arrived = len(self._redelivered)
        if arrived > known:
            self._consumer.hub.call_later(GATHER_SECONDS, self._gather_redelivered, arrived)
        else:
            self._start_redelivered()

    def _start_redelivered(self) -> None:
        self._is_redelivering = bool(self._redelivered) and self._is_running
        if self._is_redelivering:
            request = self._redelivered.pop(random.randrange(len(self._redelivered)))
            self._start_alone(request, then=self._start_redelivered)

    def _start_alone(self, request: Any, then: Callable[[], object] = lambda: None) -> None:
        """Start it as Celery does; `then` is called once it has ended."""
        if not self._is_running:
            return
        try:
            result = request.execute_using_pool(self._consumer.pool)
        except TaskRevokedError:  # by remote control; Celery has settled it
            then()
        else:
            result.f.add_done_callback(lambda _: self._soon(then))

    def _soon(self, callback: Callable[[], object]) -> None:
        """Schedule a callback in the thread that reads the connection; any thread may call this.

        When one callback raises, as reading from a broken connection does, Celery's loop drops the remaining ones.
        Callbacks kept here are called on the next connection; a lost one would block waiting events for ever.
        """
        self._ended.append(callback)
        self._consumer.call_soon(self._run_ended)

    def _run_ended(self) -> None:
        while self._ended:
            self._ended.popleft()()

    @property
    def _is_running(self) -> bool:
        """False while the worker shuts down: the broker redelivers unstarted messages to another worker."""
        return bool(self._consumer.blueprint.state == RUN)
