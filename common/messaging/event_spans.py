"""The spans of an event: one when it is published, one for each delivery to a consumer.

Both continue the `traceparent` in the event, which is the span that caused it: the request, or the delivery of an
earlier event. So the tree reads request -> delivery -> delivery, and a sibling `publish` span shows the time in
transit.
Names: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from structlog.contextvars import bound_contextvars

from common.messaging import topology
from common.messaging.events import MAX_EVENT_BYTES
from common.observability import tracing
from common.observability.traceparent import log_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from common.messaging.events import Event
    from common.observability.tracing import Span, Value


@contextmanager
def delivering(consumer: str, event: Event, *, attempt: int = 1) -> Iterator[Span]:
    """One attempt (from 1) of `consumer` at `event`: its span, and its ids in the log entries of the block."""
    with (
        delivery_span(consumer, event, attempt=attempt) as span,
        bound_contextvars(
            consumer=consumer,
            event_id=event.id,
            event_type=event.type,
            subject=event.subject,
            correlation_id=event.correlationid,
            **log_ids(span.traceparent),
        ),
    ):
        yield span


def delivery_span(context: str, event: Event, *, attempt: int) -> AbstractContextManager[Span]:
    """One attempt (from 1) of `context` at `event`."""
    if not tracing.is_on():
        return tracing.entry("", "consumer", event.traceparent, {})
    attributes = _of_event(event.id, event.type, event.correlationid) | {
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": topology.events_queue(context),
        "messaging.consumer.group.name": context,
        "cloudevents.event_source": event.source,
        "cloudevents.event_subject": event.subject,
        "holdfast.order_id": event.orderid,
        "holdfast.attempt": attempt,
    }
    return tracing.entry(f"process {event.type}", "consumer", event.traceparent, attributes)


def taking_span(context: str, queue: str, body: bytes) -> AbstractContextManager[Span]:
    """`context` handles a message of any content: the span joins the trace of the event in it, if there is one."""
    if not tracing.is_on():
        return tracing.entry("", "consumer", None, {})
    attributes: dict[str, Value | None] = {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "process",
        "messaging.operation.name": "take",
        "messaging.destination.name": queue,
        "messaging.consumer.group.name": context,
        "messaging.message.body.size": len(body),
    }
    found = _traceparent_in(body) if len(body) <= MAX_EVENT_BYTES else None
    return tracing.entry(f"take {queue}", "consumer", found, attributes)


def record_published(rows: Iterable[Any], *, started_ns: int) -> None:
    """One `publish` span for each of these outbox rows, which the broker has just confirmed."""
    if not tracing.is_on():
        return
    ended_ns = time.time_ns()
    for row in rows:
        attributes = _of_event(row.event_id, row.type, row.correlation_id) | {
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.destination.name": topology.EVENTS.name,
            "messaging.rabbitmq.destination.routing_key": row.type,
            "messaging.message.body.size": len(row.body),
            "holdfast.outbox_seconds": float(row.age_seconds),
        }
        name = f"publish {row.type}"
        tracing.past(name, "producer", _traceparent_in(row.body), attributes, started_ns=started_ns, ended_ns=ended_ns)


def _of_event(event_id: str, event_type: str, correlation_id: str) -> dict[str, Value | None]:
    return {
        "messaging.system": "rabbitmq",
        "messaging.message.id": event_id,
        "messaging.message.conversation_id": correlation_id,
        "cloudevents.event_id": event_id,
        "cloudevents.event_type": event_type,
    }


def _traceparent_in(body: str | bytes) -> str | None:
    with suppress(ValueError, AttributeError, RecursionError):
        found = json.loads(body).get("traceparent")
        return found if isinstance(found, str) else None
    return None
