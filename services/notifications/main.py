"""The notifications service: `gunicorn -c python:common.web.gunicorn 'services.notifications.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.resilience.circuit_breaker import Breaker
from common.settings import MAX_FAILURES, DocumentSettings, ServiceSettings, load
from common.storage.mongodb import Store, connect_by, ping
from common.web.app_factory import create_app as create_service
from services import ROUTES_FILE
from services.notifications.api import blueprint
from services.notifications.resources import Resources
from services.notifications.settings import WebhookSettings, rules_of

if TYPE_CHECKING:
    from flask import Flask

    from common.security.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, DocumentSettings, WebhookSettings):
    """The settings of the notifications service."""

    circuit_breaker_max_failures: int = MAX_FAILURES


def create_app(settings: Settings | None = None, verifier: Verifier | None = None) -> Flask:
    settings = settings or load(Settings)
    database = connect_by(settings, name="service-notifications", pool_size=settings.pool_size)
    store = Store(database, Breaker("mongodb", max_failures=settings.circuit_breaker_max_failures))
    return create_service(
        "notifications",
        settings,
        blueprints=[blueprint],
        ready_checks={"mongodb": partial(ping, database)},
        context=Resources(store, rules_of(settings, max_failures=settings.circuit_breaker_max_failures)),
        verifier=verifier,
        routes_file=ROUTES_FILE,
    )


if __name__ == "__main__":
    from common.web.development import serve_by_hand
    from services.notifications import migrations

    serve_by_hand(__file__, Settings, create_app, migrations=migrations)
