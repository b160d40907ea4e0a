"""The payments service: `gunicorn -c python:common.web.gunicorn 'services.payments.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.settings import ServiceSettings, load
from common.storage.postgresql import ping
from common.web.app_factory import create_app as create_service
from common.web.stored_metrics import read_before_scrapes
from services import ROUTES_FILE
from services.payments.api import blueprint
from services.payments.metrics import show_open_cases
from services.payments.resources import ResourceSettings, open_resources

if TYPE_CHECKING:
    from flask import Flask

    from common.security.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, ResourceSettings):
    """The settings of the payments service."""


def create_app(settings: Settings | None = None, *, verifier: Verifier | None = None) -> Flask:
    settings = settings or load(Settings)
    resources = open_resources(settings, name="service-payments", pool_size=settings.pool_size)
    # Without its provider the service still serves payments: readiness depends only on the database.
    app = create_service(
        "payments",
        settings,
        blueprints=[blueprint],
        ready_checks={"postgres": partial(ping, resources.engine)},
        context=resources,
        verifier=verifier,
        routes_file=ROUTES_FILE,
    )
    read_before_scrapes(app, partial(show_open_cases, resources.engine))
    return app


if __name__ == "__main__":
    from common.web.development import serve_by_hand

    serve_by_hand(__file__, Settings, create_app)
