"""What a service answers when it is asked for more than it can do: 503 `overloaded`, at once and at little cost.

The refusal is made before the app: nothing is routed, parsed, verified or logged line by line; a counter tells how many
there were. Probes are let through: an overloaded instance is alive, and taking it out would make it worse for the rest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge

from common.web import health, problems
from common.web.request import sane_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REFUSED = Counter("http_requests_refused", "Requests refused at the door", ["reason"])
ADMITTED = Gauge("http_requests_admitted", "Requests that run or wait for a thread")
DETAIL = "more requests than this service can answer: try again soon"

if TYPE_CHECKING:
    Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class LoadSheddingMiddleware:
    """A WSGI app around `app`. `refusal` says why the request at hand is refused, None if it is not."""

    def __init__(self, app: Wsgi, refusal: Callable[[], str | None], admitted: Callable[[], int]) -> None:
        self._app, self._refusal = app, refusal
        ADMITTED.set_function(admitted)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reason = self._refusal()
        if reason is None or environ.get("PATH_INFO") in health.PATHS:
            return self._app(environ, start_response)
        REFUSED.labels(reason).inc()
        return refuse(environ, start_response)


def refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The refusal, for a request that no app has seen."""
    request_id = sane_request_id(environ.get("HTTP_REQUEST_ID", ""))
    path = environ.get("PATH_INFO", "/").encode("latin-1", "replace").decode("utf-8", "replace")
    document = problems.document(503, "overloaded", DETAIL, instance=path, request_id=request_id)
    body = json.dumps(document).encode()
    headers = [*problems.bare_headers(body, request_id), ("Retry-After", str(problems.retry_after()))]
    start_response("503 Service Unavailable", headers)
    return [body]
