"""Creates a service's Flask app.

`create_app` gives: problem documents for all errors, a `Request-Id` on every reply, strict and bounded input, tokens
required unless a route is `public`, OpenAPI 3.1 at /openapi.json with a page at /docs, /livez, /readyz, /metrics, an
access log line and a metric per request. It opens no connection: the caller passes the resources of the routes as
`context`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, Response, current_app, g, request

from common.errors import Contention, classify
from common.observability import logs, metrics
from common.observability.traceparent import log_ids
from common.observability.tracing import configure_tracing
from common.security import auth
from common.security.jwks import RemoteKeys
from common.security.tokens import Verifier
from common.settings import ServiceSettings
from common.web import allowed_methods, client_address, docs, health, problems, rate_limits, request_span
from common.web.openapi import Api, Blueprint
from common.web.request import check_target, request_id, request_message_context
from common.web.request_buffer import MAX_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from flask.typing import ResponseReturnValue

    from common.settings import HttpSettings

MAX_TRIES = 3
_log = logs.logger("access")


def create_app(
    name: str,
    settings: HttpSettings,
    *,
    blueprints: Sequence[Blueprint],
    ready_checks: Mapping[str, Callable[[], object]],
    context: Any = None,
    verifier: Verifier | None = None,
    routes_file: Path | None = None,
) -> Flask:
    """The app of the service `name`.

    Routes find `context` through `context()`. Tokens are verified by `verifier`, or with the keys at
    `settings.jwks_url`. `routes_file` lists the routes of all services: RATE_LIMIT_ROUTES may name those.
    """
    logs.configure_logging(name, settings.log_level)
    configure_tracing(name, settings)
    app = _ServiceFlask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES + 1)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.url_map.merge_slashes = False  # a redirect would expose this process's own address
    app.extensions["context"] = context
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(request_span.leave)
    problems.register(app)
    client_address.register(app, settings.trusted_proxies)
    allowed_methods.register(app)
    auth.register(app, verifier or _remote_verifier(settings))
    rate_limits.register(app, settings)
    api = Api(app, name)
    app.view_functions["api-docs.openapi_json"] = auth.public(app.view_functions["api-docs.openapi_json"])
    app.register_blueprint(health.make_blueprint(ready_checks))
    app.register_blueprint(docs.make_blueprint(name))
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    rate_limits.check_routes(app, settings.rate_limit_routes, routes_file)
    return app


def context() -> Any:
    """What `create_app` was given as `context`."""
    return current_app.extensions["context"]


class _ServiceFlask(Flask):
    """Retries a view at once after a conflict of transactions (deadlock, serialization failure), but not after a lock
    time-out: that request has waited long enough.

    The exception has rolled back the first transaction.
    """

    def make_default_options_response(self) -> Response:
        return allowed_methods.options_response()

    def dispatch_request(self) -> ResponseReturnValue:
        for _ in range(MAX_TRIES - 1):
            try:
                return super().dispatch_request()
            except Exception as error:
                if classify(error) is not Contention:
                    raise
                logs.logger(__name__).info("contention: retrying", error=f"{type(error).__name__}: {error}")
        return super().dispatch_request()


def _remote_verifier(settings: HttpSettings) -> Verifier:
    if not isinstance(settings, ServiceSettings):
        raise TypeError("pass a verifier: these settings have no jwks_url")
    return Verifier(RemoteKeys(settings.jwks_url))


def _begin() -> None:
    g.started_at = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    request_span.enter()
    structlog.contextvars.bind_contextvars(
        correlation_id=request_id(), **log_ids(request_message_context().traceparent)
    )
    check_target()


def _end(response: Response) -> Response:
    response.headers["Request-Id"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")  # responses are per caller, and may contain secrets
    seconds = time.perf_counter() - g.started_at
    route = request.url_rule.rule if request.url_rule else None
    metrics.count_request(request.method, route, response.status_code, seconds)
    request_span.describe(response.status_code)
    if request.path not in health.PATHS:
        _log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            duration_ms=round(seconds * 1000, 2),
            caller=g.caller.id if "caller" in g else client_address.client_address(),
        )
    return response
