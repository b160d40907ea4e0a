"""Load shedding: everything that answers 503 `overloaded`, and when.

| what is refused | when | settings |
|---|---|---|
| a request: `LoadSheddingMiddleware` | all threads are busy, and so many wait already | `SERVICE_QUEUE` |
| the same | it has waited for so long, and others wait behind it | `SERVICE_WAIT_SECONDS` |
| a new order: `Shedding` | the outbox is far behind, or many orders are open | `SHED_*` |

`common.web.admission` counts who waits for a thread. A client beyond its quota gets 429: `common.web.rate_limits`.

The middleware is before the app: nothing is routed, parsed, verified or logged line by line; a counter tells how many
there were. Probes are let through: an overloaded instance is alive, and taking it out would make it worse for the rest.

The backlog is measured within a statement that a request makes anyway, at most once a second in each process; between
two measurements every request goes by the last one. So it costs next to nothing, and it is about a second behind.
It protects the store from growing without end; a dependency that is away for a sensible time is no reason to refuse.
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
SHED = Counter("holdfast_shed", "Requests refused because of a backlog", ["backlog"])
REFUSED = Counter("http_requests_refused", "Requests refused at the door", ["reason"])
ADMITTED = Gauge("http_requests_admitted", "Requests that run or wait for a thread")


class OverloadedError(Unavailable):
    """Too much is waiting already; nothing of this request was done."""

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
        """Whether the caller is to measure now; the next one is, a while later."""
        with self._lock:
            now = time.monotonic()
            if not self._limits or now < self._due_at:
                return False
            self._due_at = now + self._measure_seconds
            return True

    def observe(self, backlog: Mapping[str, float]) -> None:
        """Take note of what was measured."""
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
    """A WSGI app around `app`. `refusal` says why the request at hand is refused, None if it is not."""

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
    """The refusal, for a request that no app has seen."""
    from common.web import problems, request  # noqa: PLC0415 - likewise

    request_id = request.sane_request_id(environ.get("HTTP_REQUEST_ID", ""))
    path = environ.get("PATH_INFO", "/").encode("latin-1", "replace").decode("utf-8", "replace")
    document = problems.document(503, OverloadedError.code, DETAIL, instance=path, request_id=request_id)
    body = json.dumps(document).encode()
    headers = [*problems.bare_headers(body, request_id), ("Retry-After", str(problems.retry_after()))]
    start_response("503 Service Unavailable", headers)
    return [body]
