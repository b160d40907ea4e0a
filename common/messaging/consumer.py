"""Handles an event once, or retries, parks or dead-letters it. No message is acknowledged before that.

`Consumer.handle` returns when the message may be acknowledged, and raises when the broker must keep it.
`celery_worker.py` is the adapter to Celery; a handler runs one use case, whose transaction contains the inbox row and
the effect.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog
from prometheus_client import Counter, Histogram

from common.errors import Contention, HoldfastError, LockTimeout, Rejected, classify
from common.messaging import topology
from common.messaging.event_spans import delivering
from common.messaging.events import utc_now
from common.messaging.failures import FailureHandler
from common.messaging.inbox import AlreadyHandled, Delivery
from common.messaging.worker_settings import UNDECIDED_MAX_AGE_SECONDS
from common.resilience.crash_points import crash_point

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from common.messaging.batch_handling import Batching
    from common.messaging.consumer_pause import ConsumerPause
    from common.messaging.events import Event
    from common.messaging.redelivery import Incoming, Redelivery
    from common.observability.tracing import Span

R = TypeVar("R")
CONTENTION_REPEATS = 3
# Each try has already waited for the lock and blocked a thread; a parked message blocks none.
LOCK_TIMEOUT_REPEATS = 1

HANDLED = Counter(
    "holdfast_events_handled_total",
    "Deliveries by outcome: done, duplicate, retried, parked, undecided, dead",
    ["consumer", "type", "outcome"],
)
SECONDS = Histogram(
    "holdfast_event_handling_seconds", "Duration of a handler; in a batch, the event's share", ["consumer", "type"]
)
AGE = Histogram(
    "holdfast_event_age_seconds",
    "Age of events when their consumer began to handle them, at the first attempt",
    ["consumer"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0),
)
BATCH_SIZE = Histogram(
    "holdfast_event_batch_size", "Events handled in one batch", ["consumer"], buckets=(2, 4, 8, 16, 32, 64, 128, 256)
)
SPLIT = Counter(
    "holdfast_event_batches_split_total", "Batches that failed and were split into single events", ["consumer"]
)
_REPEATS: dict[type[HoldfastError], int] = {Contention: CONTENTION_REPEATS, LockTimeout: LOCK_TIMEOUT_REPEATS}
_log = structlog.get_logger(__name__)


class UnknownEventTypeError(Rejected):
    """No handler for this type: the binding and the table of handlers disagree."""

    code = "unknown_event_type"


class Consumer(Generic[R]):
    """One context's handlers and their `resources`."""

    def __init__(
        self,
        context: str,
        handlers: Mapping[str, Callable[[Delivery, R], None]],
        resources: R,
        redelivery: Redelivery,
        *,
        retry_attempts: int,
        undecided_max_age_seconds: float = UNDECIDED_MAX_AGE_SECONDS,
        pause: ConsumerPause,
        batching: Batching | None = None,
    ) -> None:
        self._context, self._handlers, self._resources = context, handlers, resources
        self._batching = batching
        self._failures = FailureHandler(
            context,
            redelivery,
            pause,
            retry_attempts=retry_attempts,
            undecided_max_age_seconds=undecided_max_age_seconds,
        )
        self._age = AGE.labels(context)

    def handle(self, event: Event, message: Incoming) -> str:
        """Handle one delivery; returns its outcome. Raises only if it could not be parked or dead-lettered: then
        requeue it.
        """
        kind = event.type if self._handler(event.type) else "unknown"
        begun = utc_now()
        with delivering(self._context, event, attempt=message.attempt + 1) as span:
            outcome = self._outcome(Delivery(self._context, event, span.traceparent), message, span)
            span.describe({"holdfast.outcome": outcome})
        HANDLED.labels(self._context, kind, outcome).inc()
        if outcome == "done" and not message.was_passed_on:
            # Its time in the outbox and in the queue, without the intended delays of retries and replays.
            self._observe_age(event, begun)
        return outcome

    def handle_batch(self, events: Sequence[Event]) -> list[str | None] | None:
        """Handle several first deliveries at once; returns their outcomes. None: handle it, or all of them, alone."""
        if self._batching is None:
            return None
        begun, started = utc_now(), time.perf_counter()
        crash_point("batch.received")
        try:
            took_effect = self._batching.handle([Delivery(self._context, event) for event in events])
        except Exception as error:  # noqa: BLE001 - alone, each event meets what it meets
            _log.warning("a batch failed: its events are handled alone", events=len(events), error=repr(error))
            SPLIT.labels(self._context).inc()
            crash_point("batch.failed")
            return None
        crash_point("batch.committed")
        BATCH_SIZE.labels(self._context).observe(len(events))
        seconds = (time.perf_counter() - started) / len(events)
        return [self._record(event, new, begun, seconds) for event, new in zip(events, took_effect, strict=True)]

    def _record(self, event: Event, took_effect: bool | None, begun: datetime, seconds: float) -> str | None:
        if took_effect is None:
            return None
        outcome = "done" if took_effect else "duplicate"
        self._failures.record_success(event.id)
        SECONDS.labels(self._context, event.type).observe(seconds)
        HANDLED.labels(self._context, event.type, outcome).inc()
        if took_effect:
            self._observe_age(event, begun)
        return outcome

    def _observe_age(self, event: Event, begun: datetime) -> None:
        self._age.observe(max(0.0, (begun - datetime.fromisoformat(event.time)).total_seconds()))

    def _outcome(self, delivery: Delivery, message: Incoming, span: Span) -> str:
        crash_point("consumer.received")
        try:
            self._run(delivery)
            crash_point("consumer.handled")
        except AlreadyHandled:
            _log.info("duplicate dropped")
            self._failures.record_success(delivery.event.id)
            return "duplicate"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is passed on, never swallowed
            return self._failures.pass_on(delivery, message, error, span)
        self._failures.record_success(delivery.event.id)
        return "done"

    def _run(self, delivery: Delivery) -> None:
        handler = self._handler(delivery.event.type)
        if handler is None:
            message = f"no handler for {delivery.event.type}"
            raise UnknownEventTypeError(message)
        with SECONDS.labels(self._context, delivery.event.type).time():
            for repeat in range(CONTENTION_REPEATS + 1):
                try:
                    handler(delivery, self._resources)
                except Exception as error:
                    if repeat >= _REPEATS.get(classify(error), 0):
                        raise
                    time.sleep(0.01 * 2**repeat)
                else:
                    return

    def _handler(self, event_type: str) -> Callable[[Delivery, R], None] | None:
        return self._handlers.get(event_type) or self._handlers.get(topology.EVERYTHING)
