"""The archive service: `gunicorn -c python:common.web.gunicorn 'services.archive.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.resilience.circuit_breaker import Breaker
from common.settings import MAX_FAILURES, DocumentSettings, ServiceSettings, load
from common.storage.mongodb import Store, connect_by, ping
from common.web.app_factory import create_app as create_service
from services import ROUTES_FILE
from services.archive.api import blueprint

if TYPE_CHECKING:
    from flask import Flask

    from common.security.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, DocumentSettings):
    """The settings of the archive service."""

    circuit_breaker_max_failures: int = MAX_FAILURES


def create_app(settings: Settings | None = None, verifier: Verifier | None = None) -> Flask:
    settings = settings or load(Settings)
    database = connect_by(settings, name="service-archive", pool_size=settings.pool_size)
    return create_service(
        "archive",
        settings,
        blueprints=[blueprint],
        ready_checks={"mongodb": partial(ping, database)},
        context=Store(database, Breaker("mongodb", max_failures=settings.circuit_breaker_max_failures)),
        verifier=verifier,
        routes_file=ROUTES_FILE,
    )


if __name__ == "__main__":
    from common.web.development import serve_by_hand
    from services.archive import migrations

    serve_by_hand(__file__, Settings, create_app, migrations=migrations)
