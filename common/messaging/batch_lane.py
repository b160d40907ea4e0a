"""A worker handles waiting messages in batches, one at a time, and a message that arrives alone at once, by itself.

Guarantees: a batch is acknowledged after it has taken effect; at most one batch is in flight; an event that was
delivered or has failed before, and every event of a failed batch, is handled alone. All but `_run` is called by the
thread that reads the connection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from common.messaging.acknowledging import Acknowledger
from common.messaging.event_lane import EventLane
from common.messaging.redelivery import Incoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.messaging.batch_handling import Batching
    from common.messaging.events import Event

    HandleBatch = Callable[[Sequence[Event]], list[str] | None]

# After a batch there may be more on the way: so long it is waited for.
LINGER_SECONDS = 0.004


class BatchLane(EventLane):
    """One worker's way to handle events; `size` of them at most at once."""

    def __init__(self, consumer: Any, handle_batch: HandleBatch, size: int) -> None:
        super().__init__(consumer)
        self._handle_batch, self._size = handle_batch, size
        self._waiting: list[Any] = []
        self._is_busy = False
        self._acknowledger = Acknowledger(consumer.connection_errors)
        consumer.initial_prefetch_count = max(consumer.initial_prefetch_count, size)

    def watch(self, receive: Callable[[Any], object]) -> Callable[[Any], object]:
        self._waiting.clear()
        self._acknowledger = Acknowledger(self._consumer.connection_errors)
        receive = super().watch(receive)

        def watched(message: Any) -> object:
            self._acknowledger.received(message)
            return receive(message)

        return watched

    def _add_new(self, request: Any) -> None:
        if Incoming("", request.request_dict).was_passed_on:
            self._start_alone(request)
        else:
            self._waiting.append(request)
            self._start()

    def _start(self) -> None:
        if self._is_busy or not self._waiting or not self._is_running:
            return
        requests, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        self._is_busy = True
        if len(requests) == 1:
            self._start_alone(requests[0], then=self._end)
        else:
            self._start_batch(requests)

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
            self._soon(partial(self._finish, requests, acknowledger, outcomes, seconds))

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


def choose_lane(handle_batch: HandleBatch, batching: Batching | None) -> MakeLane:
    """What makes the lane of a worker, once Celery has made its consumer."""
    if batching is None or batching.size == 1:
        return EventLane
    return lambda consumer: BatchLane(consumer, handle_batch, batching.size)


MakeLane = Callable[[Any], EventLane]
