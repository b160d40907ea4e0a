"""Load shedding: everything that returns 503 `overloaded`, and when.

| rejected | when | settings |
|---|---|---|
| a request: `LoadSheddingMiddleware` | all threads are busy, and the queue is full | `SERVICE_QUEUE` |
| the same | it has waited too long, and others wait behind it | `SERVICE_WAIT_SECONDS` |
| a new order: `Shedding` | the outbox lags, or too many orders are open | `SHED_*` |

`common.web.admission` counts the requests that wait for a thread. A client beyond its quota gets 429:
`common.web.rate_limits`.

The middleware runs before the app: a rejected request is not routed, parsed, authenticated or logged, only counted.
Probes are admitted: an overloaded instance is alive, and removing it would increase the load of the others.

The backlog is measured in a statement that a request executes anyway, at most once a second per process; requests in
between use the last measurement. So it is cheap, and about a second old. It limits the growth of the database; a short
outage of a dependency does not reject orders.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge

from common.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MEASURE_SECONDS = 1.0
DETAIL = "more requests than this service can answer: try again soon"
SHED = Counter("holdfast_shed", "Requests rejected because of a backlog", ["backlog"])
REFUSED = Counter("http_requests_refused", "Requests rejected on arrival", ["reason"])
ADMITTED = Gauge("http_requests_admitted", "Requests that run or wait for a thread")


class OverloadedError(Unavailable):
    """The queue or the backlog is full; the request was not processed."""

    code = "overloaded"
    retry_after_seconds = 5


class Shedding:
    """`limits` are by the name of a backlog. Safe to share between threads."""

    def __init__(self, limits: Mapping[str, float], *, measure_seconds: float = MEASURE_SECONDS) -> None:
        self._limits = dict(limits)
        self._measure_seconds = measure_seconds
        self._lock = threading.Lock()
        self._due_at = 0.0
        self._excess: str | None = None

    def is_due(self) -> bool:
        """Whether the caller should measure now; returns True once per interval."""
        with self._lock:
            now = time.monotonic()
            if not self._limits or now < self._due_at:
                return False
            self._due_at = now + self._measure_seconds
            return True

    def observe(self, backlog: Mapping[str, float]) -> None:
        """Record a measurement."""
        self._excess = next((name for name, limit in self._limits.items() if backlog[name] > limit), None)

    def check(self) -> None:
        """Raise `OverloadedError` if the last measurement was above a limit."""
        excess = self._excess
        if excess is not None:
            SHED.labels(excess).inc()
            message = f"too far behind: {excess}"
            raise OverloadedError(message)


NEVER = Shedding({})


class LoadSheddingMiddleware:
    """A WSGI app around `app`. `refusal` returns why the current request is rejected, None if it is admitted."""

    def __init__(self, app: Wsgi, refusal: Callable[[], str | None], admitted: Callable[[], int]) -> None:
        from common.web import health  # noqa: PLC0415 - loads Flask, which the workers of orders do without

        self._app, self._refusal, self._probes = app, refusal, health.PATHS
        ADMITTED.set_function(admitted)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reason = self._refusal()
        if reason is None or environ.get("PATH_INFO") in self._probes:
            return self._app(environ, start_response)
        REFUSED.labels(reason).inc()
        return refuse(environ, start_response)


def refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The response to a request that does not reach the app."""
    from common.web import problems, request  # noqa: PLC0415 - likewise

    request_id = request.sane_request_id(environ.get("HTTP_REQUEST_ID", ""))
    path = environ.get("PATH_INFO", "/").encode("latin-1", "replace").decode("utf-8", "replace")
    document = problems.document(503, OverloadedError.code, DETAIL, instance=path, request_id=request_id)
    body = json.dumps(document).encode()
    headers = [*problems.bare_headers(body, request_id), ("Retry-After", str(problems.retry_after()))]
    start_response("503 Service Unavailable", headers)
    return [body]
