"""Handles waiting messages in batches, one batch at a time; a single message is handled alone, at once.

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

from celery.worker import state

from common.messaging.acknowledging import Acknowledger
from common.messaging.event_runner import EventRunner
from common.messaging.redelivery import Incoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.messaging.batch_handling import Batching
    from common.messaging.events import Event

    HandleBatch = Callable[[Sequence[Event]], list[str | None] | None]

# How long to wait after a batch for further messages, which the broker sends once the batch is acknowledged.
LINGER_SECONDS = 0.004


class BatchRunner(EventRunner):
    """Handles a worker's events in batches of at most `size`."""

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
        self, requests: list[Any], acknowledger: Acknowledger, outcomes: Sequence[str | None] | None, seconds: float
    ) -> None:
        """Acknowledge messages with an outcome; start the others alone, because they may not have taken effect.

        Messages of an earlier connection are skipped: the broker has redelivered them.
        """
        ended = list(zip(requests, outcomes or [None] * len(requests), strict=True))
        try:
            self._succeed([each for each in ended if each[1] is not None], acknowledger, seconds)
            for request in [request for request, outcome in ended if outcome is None]:
                if acknowledger is self._acknowledger:
                    self._start_alone(request)
                elif state.requests.get(request.id) is request:
                    state.task_ready(request)  # otherwise Celery would keep it, and Flower show it, for ever
        finally:
            self._consumer.hub.call_later(LINGER_SECONDS, self._end)

    def _succeed(self, ended: list[tuple[Any, str | None]], acknowledger: Acknowledger, seconds: float) -> None:
        if acknowledger is self._acknowledger:
            acknowledger.acknowledge([request.message for request, _ in ended])
        for request, outcome in ended:
            request.acknowledged = True
            request.on_success((False, repr(outcome), seconds))  # as Celery shows what a task returns

    def _end(self) -> None:
        self._is_busy = False
        self._start()


def choose_runner(handle_batch: HandleBatch, batching: Batching | None) -> MakeRunner:
    """Return the factory of a worker's runner; Celery calls it with its consumer."""
    if batching is None or batching.size == 1:
        return EventRunner
    return lambda consumer: BatchRunner(consumer, handle_batch, batching.size)


MakeRunner = Callable[[Any], EventRunner]
