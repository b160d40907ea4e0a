"""What waits in a worker is handled in batches, one at a time; a message that comes alone is handled alone, at once.

It stands where Celery hands a task to its pool: Celery receives, shows (Flower) and supervises each event as a task of
its own. Guarantees: a batch is acknowledged after it has taken effect; at most one batch is in hand; what was delivered
or has failed before, and every event of a batch that failed, is handled alone. All but `_run` is called by the thread
that reads the connection.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery.bootsteps import RUN  # type: ignore[attr-defined]  # the stubs lack it

from common.messaging.acknowledging import Acknowledger
from common.messaging.redelivery import Incoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.messaging.batch_handling import Batching
    from common.messaging.events import Event

    HandleBatch = Callable[[Sequence[Event]], list[str] | None]

# After a batch there may be more on the way: so long it is waited for.
LINGER_SECONDS = 0.004
# What a dead worker held comes back at once. If nothing more of it comes for so long, all of it is here.
GATHER_SECONDS = 0.05


class BatchLane:
    """One worker's way to handle events; `size` of them at most at once."""

    def __init__(self, consumer: Any, handle_batch: HandleBatch, size: int) -> None:
        self._consumer, self._handle_batch, self._size = consumer, handle_batch, size
        self._waiting: list[Any] = []
        self._redelivered: list[Any] = []
        self._is_busy = False
        self._is_redelivering = False
        self._acknowledger = Acknowledger(consumer.connection_errors)
        consumer.on_task_request = self.add
        consumer.initial_prefetch_count = max(consumer.initial_prefetch_count, size)

    def watch(self, receive: Callable[[Any], object]) -> Callable[[Any], object]:
        """A new connection, whose messages `receive` gets: what came over the old one is delivered again."""
        self._waiting.clear()
        self._redelivered.clear()
        self._acknowledger = Acknowledger(self._consumer.connection_errors)

        def watched(message: Any) -> object:
            self._acknowledger.received(message)
            return receive(message)

        return watched

    def add(self, request: Any) -> None:
        """Celery has received this one."""
        if request.delivery_info["redelivered"]:
            self._add_redelivered(request)
        elif Incoming("", request.request_dict).was_passed_on:
            self._start_alone(request)
        else:
            self._waiting.append(request)
            self._start()

    def _add_redelivered(self, request: Any) -> None:
        """One of these may have ended its worker. In another order each time it does not end with the same others.

        One after the other: at once with others, the one that ends the worker would end it before they are done.
        """
        self._redelivered.append(request)
        if not self._is_redelivering:
            self._is_redelivering = True
            self._gather_redelivered()

    def _gather_redelivered(self, known: int = 0) -> None:
        """Until no more of them come: the one that ends its worker often comes first."""
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

    def _start(self) -> None:
        if self._is_busy or not self._waiting or not self._is_running:
            return
        requests, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        self._is_busy = True
        if len(requests) == 1:
            self._start_alone(requests[0], then=self._end)
        else:
            self._start_batch(requests)

    def _start_alone(self, request: Any, then: Callable[[], object] | None = None) -> None:
        """As Celery does."""
        if self._is_running:
            result = request.execute_using_pool(self._consumer.pool)
            if then is not None:
                result.f.add_done_callback(lambda _: self._consumer.call_soon(then))

    def _start_batch(self, requests: list[Any]) -> None:
        for request in requests:
            request.on_accepted(os.getpid(), time.monotonic())
        arguments = (requests, self._acknowledger)
        self._consumer.pool.apply_async(self._run, arguments, callback=lambda _: None)

    def _run(self, requests: list[Any], acknowledger: Acknowledger) -> None:
        started, outcomes = time.monotonic(), None
        try:
            outcomes = self._handle_batch([request.args[0] for request in requests])
        finally:
            seconds = time.monotonic() - started
            self._consumer.call_soon(self._finish, requests, acknowledger, outcomes, seconds)

    def _finish(
        self, requests: list[Any], acknowledger: Acknowledger, outcomes: list[str] | None, seconds: float
    ) -> None:
        """Acknowledge what has taken effect; without outcomes nothing has for certain.

        What came over an earlier connection is left alone: the broker has delivered it again.
        """
        try:
            if outcomes is not None:
                self._succeed(requests, acknowledger, outcomes, seconds)
            elif acknowledger is self._acknowledger:
                for request in requests:
                    self._start_alone(request)
        finally:
            self._consumer.hub.call_later(LINGER_SECONDS, self._end)

    def _succeed(self, requests: list[Any], acknowledger: Acknowledger, outcomes: list[str], seconds: float) -> None:
        if acknowledger is self._acknowledger:
            acknowledger.acknowledge([request.message for request in requests])
        for request, outcome in zip(requests, outcomes, strict=True):
            request.acknowledged = True
            request.on_success((False, repr(outcome), seconds))  # as Celery shows what a task returns

    def _end(self) -> None:
        self._is_busy = False
        self._start()

    @property
    def _is_running(self) -> bool:
        """Not while the worker shuts down: the broker gives what was not begun to another one."""
        return bool(self._consumer.blueprint.state == RUN)


def no_lane(_consumer: Any) -> None:
    """Every event alone, as Celery does it."""


def choose_lane(handle_batch: HandleBatch, batching: Batching | None) -> MakeLane:
    """What makes the lane of a worker, once Celery has made its consumer."""
    if batching is None or batching.size == 1:
        return no_lane
    return lambda consumer: BatchLane(consumer, handle_batch, batching.size)


MakeLane = Callable[[Any], BatchLane | None]
