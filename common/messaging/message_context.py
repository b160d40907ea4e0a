"""Work that nobody asked for, a sweep's: it begins a trail and a trace of its own, which its events carry on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from common.messaging.events import Trail, new_id
from common.observability import tracing
from common.observability.traceparent import fresh, log_ids

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def origin(name: str, *, order_id: str | None = None) -> Iterator[Trail]:
    """The trail of the work called `name`; log lines of the block carry its ids."""
    correlation_id = new_id()
    attributes = {"holdfast.correlation_id": correlation_id, "holdfast.order_id": order_id}
    with tracing.entry(name, "internal", None, attributes) as span:
        trail = Trail(correlation_id, traceparent=span.traceparent or fresh())
        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **log_ids(trail.traceparent)):
            yield trail
