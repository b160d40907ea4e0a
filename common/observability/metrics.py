"""Prometheus metrics of HTTP, and the port on which a worker exposes its metrics.

Label values are bounded: routes are templates, methods a fixed set, statuses classes. A path that matches no route
counts as `unmatched`, so a scanner cannot exhaust the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest, start_http_server

if TYPE_CHECKING:
    from collections.abc import Callable

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_LABELS = ("method", "route", "status")

_requests = Counter("http_requests", "HTTP requests answered", _LABELS)
_durations = Histogram("http_request_duration_seconds", "Time to answer", _LABELS, buckets=_BUCKETS)


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Record one request with a response; `route` is the template, None if no route matched."""
    labels = (method_name(method), route or "unmatched", f"{status // 100}xx")
    _requests.labels(*labels).inc()
    _durations.labels(*labels).observe(seconds)


def method_name(method: str) -> str:
    """The method, or OTHER: clients can send any method."""
    return method if method in _METHODS else "OTHER"


def exposition() -> tuple[bytes, str]:
    """All metrics of this process and their content type."""
    return generate_latest(), CONTENT_TYPE_LATEST


def serve_metrics(host: str, port: int) -> Callable[[], None]:
    """Serve `/metrics` from a thread, for processes without other routes; returns a function that stops it."""
    server, thread = start_http_server(port, host)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    return stop
