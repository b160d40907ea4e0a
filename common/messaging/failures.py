"""Parks, retries or dead-letters an event whose handler failed.

Guarantee: when `pass_on` returns, the broker has confirmed the copy, so the original may be acknowledged. While no copy
can be published the worker is paused and the message held. `pass_on` raises if that takes too long, or if this message
cannot be published: then the broker must keep it.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter

from common.errors import HoldfastError, LockTimeout, Rejected, Unavailable, Undecided, classify
from common.messaging import topology
from common.messaging.attempt_events import attempt_failed
from common.messaging.item_outages import ItemOutages
from common.messaging.undecided import UndecidedItems

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.messaging.consumer_pause import ConsumerPause
    from common.messaging.inbox import Delivery
    from common.messaging.redelivery import Incoming, Redelivery
    from common.observability.tracing import Span

FAILURES = Counter(
    "holdfast_event_failures_total",
    "Failed deliveries by outcome (retried, parked, undecided, dead) and class of the error",
    ["consumer", "outcome", "error"],
)
_log = structlog.get_logger(__name__)


class FailureHandler:
    """One consumer's rules for failed deliveries. Thread-safe."""

    def __init__(
        self,
        context: str,
        redelivery: Redelivery,
        pause: ConsumerPause,
        *,
        retry_attempts: int,
        undecided_max_age_seconds: float,
    ) -> None:
        self._context, self._redelivery, self._pause = context, redelivery, pause
        self._retry_attempts, self._undecided_max_age_seconds = retry_attempts, undecided_max_age_seconds
        self._outages, self._undecided = ItemOutages(), UndecidedItems(context)

    def record_success(self, event_id: str) -> None:
        """The event was handled, now or before."""
        self._outages.record_end(event_id, success=True)
        self._undecided.forget(event_id)

    def pass_on(self, delivery: Delivery, message: Incoming, error: Exception, span: Span) -> str:
        """Returns the outcome: parked, undecided, retried or dead."""
        outcome = self._pass_on(delivery, message, error, span)
        FAILURES.labels(self._context, outcome, type(error).__name__).inc()
        return outcome

    def _pass_on(self, delivery: Delivery, message: Incoming, error: Exception, span: Span) -> str:
        kind = self._kind(delivery.event.id, error)
        if kind is Unavailable:
            return self._park_for_outage(message, error, span)
        if kind in {Undecided, LockTimeout}:
            return self._park_undecided(delivery.event.id, message, error, span)
        span.fail(error)
        self._undecided.forget(delivery.event.id)
        if kind is Rejected:
            return self._dead_letter(message, error, span, reason="rejected")
        if message.attempt >= self._retry_attempts:
            return self._dead_letter(message, error, span, reason="attempts_exhausted")
        return self._retry_later(delivery, message, error, span)

    def _kind(self, event_id: str, error: Exception) -> type[HoldfastError]:
        """Like `classify`; but an item that reports an outage while all dependencies answer is undecided."""
        kind = classify(error)
        if kind is not Unavailable:
            self._outages.record_end(event_id, success=False)
            return kind
        if not self._outages.is_at_fault(event_id) or not self._pause.all_dependencies_answer():
            return Unavailable
        _log.error("this item reports an outage while all dependencies answer", error=repr(error))
        return Undecided

    def _park_for_outage(self, message: Incoming, error: Exception, span: Span) -> str:
        """An outage is not an error: pause first, then park for the shortest delay. No attempt is counted."""
        self._pause.begin(repr(error))
        seconds = topology.RETRY_DELAYS_SECONDS[0]
        self._publish(
            lambda: self._redelivery.retry(message, failed_attempts=message.attempt, delay_seconds=seconds, error=None)
        )
        span.note("parked", {"error": repr(error)})
        _log.warning("parked: a dependency is down", error=repr(error))
        return "parked"

    def _park_undecided(self, event_id: str, message: Incoming, error: Exception, span: Span) -> str:
        """Only this item waits, about as long as it has waited so far; no attempt is counted."""
        waited = message.undecided_seconds
        if waited >= self._undecided_max_age_seconds:
            span.fail(error)
            self._undecided.forget(event_id)
            return self._dead_letter(message, error, span, reason="undecided")
        seconds = topology.undecided_delay(waited)
        self._publish(lambda: self._redelivery.park_undecided(message, delay_seconds=seconds, error=error))
        self._undecided.record(event_id, waited_seconds=waited, delay_seconds=seconds)
        span.note("undecided", {"error": repr(error), "waited_seconds": waited, "seconds": seconds})
        _log.warning("undecided: retried later", waited_seconds=waited, seconds=seconds, error=repr(error))
        return "undecided"

    def _dead_letter(self, message: Incoming, error: Exception, span: Span, *, reason: str) -> str:
        attempts, trace = message.attempt + 1, "".join(traceback.format_exception(error))
        self._publish(
            lambda: self._redelivery.dead(message, attempts=attempts, reason=reason, error=error, traceback=trace)
        )
        span.note("dead-lettered", {"reason": reason, "attempts": attempts})
        _log.error("dead-lettered", reason=reason, attempts=attempts, error=repr(error))
        return "dead"

    def _retry_later(self, delivery: Delivery, message: Incoming, error: Exception, span: Span) -> str:
        failed = message.attempt + 1
        seconds = topology.retry_delay(failed)
        self._publish(
            lambda: self._redelivery.retry(message, failed_attempts=failed, delay_seconds=seconds, error=error)
        )
        span.note("retried later", {"attempt": failed, "seconds": seconds})
        _log.warning("retried later", attempt=failed, seconds=seconds, error=repr(error))
        self._publish_attempt_failed(delivery, failed, seconds, error)
        return "retried"

    def _publish(self, publish: Callable[[], object]) -> None:
        """A broker that does not accept the copy is an outage as well: the message is held, not requeued."""
        self._pause.hold(publish)

    def _publish_attempt_failed(self, delivery: Delivery, attempt: int, seconds: int, error: Exception) -> None:
        event = attempt_failed(delivery, attempt=attempt, error=error, next_try_seconds=seconds)
        try:
            self._redelivery.publish(event)
        except Exception as failure:  # noqa: BLE001 - best effort: the retry itself is on its way
            _log.warning("could not publish attempt.failed", error=repr(failure))
