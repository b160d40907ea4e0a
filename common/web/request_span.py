"""The span of a request: named by its route's template, the parent of everything that the request causes.

It lasts from the start of processing until the response is passed to the server. Health checks have none.
Names: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g, request

from common.observability import metrics, tracing
from common.web import health
from common.web.request import given_traceparent, request_id

if TYPE_CHECKING:
    from common.observability.tracing import Span

FAILURE = 500


def enter() -> None:
    """Start the span, if spans are recorded."""
    if not tracing.is_on() or request.path in health.PATHS:
        return
    method = metrics.method_name(request.method)
    route = request.url_rule.rule if request.url_rule else None
    attributes = {
        "http.request.method": method,
        "http.route": route,
        "url.path": request.path,
        "holdfast.correlation_id": request_id(),
    }
    g.span_scope = tracing.entry(f"{method} {route}" if route else method, "server", given_traceparent(), attributes)
    g.span = g.span_scope.__enter__()


def describe(status: int) -> None:
    """Record its outcome."""
    if "span" in g:
        span: Span = g.span
        span.describe({"http.response.status_code": status})
        if status >= FAILURE:
            span.fail(f"HTTP {status}")


def leave(error: BaseException | None) -> None:
    """End the span; `error` is an exception without an error handler."""
    if "span_scope" in g:
        g.span_scope.__exit__(type(error) if error else None, error, None)
