"""Rate limits: a request beyond its quota gets 429 with `Retry-After`, and every response has the remaining quota.

Two policies: `authenticated` counts by the token's subject, on every route that needs a token (off unless
RATE_LIMIT_AUTHENTICATED is set); `anonymous` counts by the client's address, on the public routes marked
`rate_limited`. A route in RATE_LIMIT_ROUTES has a quota of its own in place of those, counted by subject or address.

RATE_LIMIT_ROUTES names a route by its method and Flask's rule, as services/routes.txt lists them all:
`GET /api/v1/orders/<order_id>=60/minute`. One value may be shared by all services: each limits its own routes and
leaves the others alone. A route that no service has stops the process at start. The value is added to the quotas that a
service has by itself; of two for one route the last counts.

Counted in this process, or with RATE_LIMIT_STORAGE_URL in a MongoDB that instances share. While that store is
unavailable, requests are allowed (fail open).
Headers: https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from flask import current_app, g, request
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import Counter

from common.observability.logs import logger
from common.resilience.circuit_breaker import Breaker, CircuitOpenError
from common.settings import refuse
from common.web import problems
from common.web.client_address import client_network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask, Response
    from limits import RateLimitItem

    from common.settings import HttpSettings

View = TypeVar("View", bound="Callable[..., Any]")
STORE_MS = 300
LIMITED = Counter("http_requests_rate_limited", "Requests beyond a caller's limit", ["policy"])
_log = logger(__name__)


def rate_limited(view: View) -> View:
    """Mark an expensive public view: it is limited by the client's address."""
    view.__dict__["rate_limited"] = True
    return view


def register(app: Flask, settings: HttpSettings) -> None:
    """Limit the routes of `app`; call it after `auth.register`, which authenticates the caller."""
    policies = {
        "authenticated": settings.rate_limit_authenticated,
        "anonymous": settings.rate_limit_anonymous,
    }
    limits = {
        name: parse(quota) for name, quota in (policies | route_quotas(settings.rate_limit_routes)).items() if quota
    }
    if not limits:
        return
    guard = _Guard(limits, settings.rate_limit_storage_url)
    app.before_request(guard.check)
    app.after_request(_add_headers)


def check_routes(app: Flask, quotas: str, routes_file: Path | None) -> None:
    """Stop the process if RATE_LIMIT_ROUTES names a route that neither `app` has nor another service in `routes_file`.

    Call it after the routes are registered. The file has one route in a line, like `POST /api/v1/orders`.
    """
    own = {f"{method} {rule.rule}" for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    unknown = [route for route in route_quotas(quotas) if route not in own]
    if unknown and routes_file:
        known = routes_file.read_text(encoding="utf-8").splitlines()
        unknown = [route for route in unknown if route not in known]
    if unknown:
        refuse({"RATE_LIMIT_ROUTES": f"there is no route {', '.join(unknown)}"})


def route_quotas(text: str) -> dict[str, str | None]:
    """Read RATE_LIMIT_ROUTES: `POST /api/v1/users=60/hour`, several separated by `;`."""
    pairs = (part.rpartition("=") for part in text.split(";") if part.strip())
    return {route.strip(): quota.strip() for route, _, quota in pairs}


@dataclass(frozen=True, slots=True)
class _Count:
    """The quota state of one client: the draft's q, w, r and t."""

    policy: str
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


class _Guard:
    def __init__(self, limits: dict[str, RateLimitItem], storage_url: str) -> None:
        self._limits = limits
        storage = storage_from_string(storage_url, **_options(storage_url))
        self._counter = SlidingWindowCounterRateLimiter(storage)
        # Not CIRCUIT_BREAKER_MAX_FAILURES: while it is open no request is limited, and each failure delays one.
        self._breaker = Breaker("rate-limit-store", max_failures=1)

    def check(self) -> Response | None:
        policy, who = self._subject()
        limit = self._limits.get(policy)
        if limit is None:
            return None
        try:
            with self._breaker.guard():
                passes = self._counter.hit(limit, policy, who)
                window = self._counter.get_window_stats(limit, policy, who)
        except CircuitOpenError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever its store answers, no request fails for a limit
            _log.warning(
                "the rate-limit store does not answer: no limits",
                error=f"{type(error).__name__}: {error}",
            )
            return None
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        g.rate_count = _Count(policy, limit.amount, limit.get_expiry(), max(0, window.remaining), seconds)
        return None if passes else _refusal(g.rate_count)

    def _subject(self) -> tuple[str, str]:
        route = f"{request.method} {request.url_rule}"
        if route in self._limits:
            return route, g.caller.id if "caller" in g else client_network()
        view = current_app.view_functions.get(request.endpoint or "")
        if getattr(view, "rate_limited", False):
            return "anonymous", client_network()
        return ("authenticated", g.caller.id) if "caller" in g else ("", "")


def _refusal(count: _Count) -> Response:
    LIMITED.labels(count.policy).inc()
    detail = f"at most {count.quota} requests in {count.window_seconds} s: try again later"
    seconds = str(problems.retry_after(count.reset_seconds))
    return problems.problem(429, "rate_limited", detail, headers={"Retry-After": seconds})


def _add_headers(response: Response) -> Response:
    count: _Count | None = g.get("rate_count")
    if count is not None:
        response.headers["RateLimit-Policy"] = f'"{count.policy}";q={count.quota};w={count.window_seconds}'
        response.headers["RateLimit"] = f'"{count.policy}";r={count.remaining};t={count.reset_seconds}'
    return response


def _options(storage_url: str) -> dict[str, Any]:
    if not storage_url.startswith("mongodb"):
        return {}
    waits = dict.fromkeys(("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS"), STORE_MS)
    return waits | {"database_name": urlsplit(storage_url).path.strip("/") or "limits"}
