"""The operations service: `gunicorn -c python:common.web.gunicorn 'services.operations.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.resilience.circuit_breaker import Breaker
from common.setting_checks import HTTP_URL, urls_by, urls_with
from common.settings import MAX_FAILURES, DocumentSettings, ServiceSettings, load, setting
from common.storage.mongodb import Store, connect_by, ping
from common.web.app_factory import create_app as create_service
from common.web.stored_metrics import read_before_scrapes
from services import ROUTES_FILE
from services.operations import api, metrics, system_api
from services.operations.console import traces, views
from services.operations.console.contexts import Contexts
from services.operations.console.trends import Trends
from services.operations.monitoring import Monitor
from services.operations.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from common.security.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, DocumentSettings):
    """The settings of the operations service. Without the optional ones, view and console show less."""

    circuit_breaker_max_failures: int = MAX_FAILURES
    metrics_urls: Mapping[str, str] | None = setting(
        "METRICS_URLS",
        "json",
        default=None,
        check=urls_by("process", HTTP_URL),
        meaning="Metrics URL of each process, for a service also the base of its API: JSON object, process -> URL.",
    )
    trace_url_template: str | None = setting(
        "TRACE_URL_TEMPLATE",
        default=None,
        check=traces.check_template,
        meaning="Link from the console to a trace: a URL with {trace_id} in it. Empty: it shows the id.",
    )
    rabbitmq_management_url: str | None = setting(
        "RABBITMQ_MANAGEMENT_URL",
        default=None,
        check=urls_with("http", "https"),
        meaning="RabbitMQ's management API, for GET /system, as the account `monitor`. Cluster nodes separated by `;`.",
    )
    local_control_url: str | None = setting(
        "LOCAL_CONTROL_URL",
        default=None,
        check=HTTP_URL,
        meaning="Control process of a local stack, for the console: faults and audits. Empty: neither is available.",
    )


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of the routes."""

    store: Store
    monitor: Monitor
    sessions: Sessions
    contexts: Contexts
    trends: Trends
    trace_url_template: str | None = None


def create_app(settings: Settings | None = None, verifier: Verifier | None = None) -> Flask:
    settings = settings or load(Settings)
    database = connect_by(settings, name="service-operations", pool_size=settings.pool_size)
    store = Store(database, Breaker("mongodb", max_failures=settings.circuit_breaker_max_failures))
    urls = settings.metrics_urls or {}
    monitor = Monitor(urls, settings.rabbitmq_management_url)
    resources = Resources(
        store,
        monitor,
        Sessions(store),
        Contexts(urls, settings.local_control_url),
        Trends(),
        settings.trace_url_template,
    )
    app = create_service(
        "operations",
        settings,
        blueprints=[api.blueprint, system_api.blueprint],
        ready_checks={"mongodb": partial(ping, database)},
        context=resources,
        verifier=verifier,
        routes_file=ROUTES_FILE,
    )
    views.register(app)
    read_before_scrapes(app, partial(metrics.show, store))
    _watch_from_the_first_request(app, resources)
    return app


def _watch_from_the_first_request(app: Flask, resources: Resources) -> None:
    """Called on the first request: the process that creates the app is not the one that serves it."""

    @app.before_request
    def watch() -> None:
        resources.trends.watch(resources.monitor.snapshot)


if __name__ == "__main__":
    from common.web.development import serve_by_hand
    from services.operations import migrations

    serve_by_hand(__file__, Settings, create_app, migrations=migrations)
