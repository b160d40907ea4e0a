"""The message context of work without a message, such as a sweep: a new correlation id and a new trace."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from common.messaging.events import MessageContext, new_id
from common.observability import tracing
from common.observability.traceparent import fresh, log_ids

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def new_trace_context(name: str, *, order_id: str | None = None) -> Iterator[MessageContext]:
    """The message context of the work `name`; log lines of the block carry its ids."""
    correlation_id = new_id()
    attributes = {"holdfast.correlation_id": correlation_id, "holdfast.order_id": order_id}
    with tracing.entry(name, "internal", None, attributes) as span:
        message_context = MessageContext(correlation_id, traceparent=span.traceparent or fresh())
        with structlog.contextvars.bound_contextvars(
            correlation_id=correlation_id, **log_ids(message_context.traceparent)
        ):
            yield message_context
