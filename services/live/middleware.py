"""Adds to every response a Request-Id, safe headers, a metric, an access log line and a span. Streams are counted when
they begin.

The span of a stream ends with its first bytes: one that lasts as long as the stream would be lost with the process.
Names: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from common.observability import logs, metrics, traceparent, tracing
from common.web.request import sane_request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FAILURE = 500
_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
_log = logs.logger("access")


class RequestMiddleware:
    """Wraps the whole app, including its error pages."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = sane_request_id(Headers(scope=scope).get("request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        started, started_ns = time.perf_counter(), time.time_ns()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Cache-Control", "no-store")
                _record(scope, message["status"], time.perf_counter() - started, request_id)
                _trace(scope, message["status"], started_ns, request_id)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _record(scope: Scope, status: int, seconds: float, request_id: str) -> None:
    route = getattr(scope.get("route"), "path", None)
    metrics.count_request(scope["method"], route, status, seconds)
    if scope["path"] not in _QUIET:
        _log.info(
            "request",
            correlation_id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=status,
            duration_ms=round(seconds * 1000, 2),
            caller=scope["state"].get("caller_id"),
        )


def _trace(scope: Scope, status: int, started_ns: int, request_id: str) -> None:
    if not tracing.is_on() or scope["path"] in _QUIET:
        return
    method, route = metrics.method_name(scope["method"]), getattr(scope.get("route"), "path", None)
    given = Headers(scope=scope).get("traceparent")
    attributes = {
        "http.request.method": method,
        "http.route": route,
        "url.path": scope["path"],
        "http.response.status_code": status,
        "holdfast.correlation_id": request_id,
    }
    tracing.past(
        f"{method} {route}" if route else method,
        "server",
        given if traceparent.parse(given) else None,
        attributes,
        started_ns=started_ns,
        ended_ns=time.time_ns(),
        failure=f"HTTP {status}" if status >= FAILURE else "",
    )
