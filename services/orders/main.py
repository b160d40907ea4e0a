"""The orders service: `gunicorn -c python:common.server 'services.orders.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.appfactory import create_app as create_service
from common.database import make_engine, ping
from common.development import serve_for_development
from common.settings import DatabaseSettings, ServiceSettings, load
from services.orders.api import blueprint

if TYPE_CHECKING:
    from flask import Flask

    from common.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, DatabaseSettings):
    """What the orders service reads."""


def create_app(settings: Settings | None = None, verifier: Verifier | None = None) -> Flask:
    """The WSGI app. Tokens are verified by `verifier`, or with the keys that the users service publishes."""
    settings = settings or load(Settings)
    engine = make_engine(
        settings.database_url,
        pool_size=settings.service_threads + 1,  # one for the readiness check
        timeout_seconds=settings.database_timeout_seconds,
        name="service-orders",
    )
    return create_service(
        "orders",
        settings,
        blueprints=[blueprint],
        ready_checks={"postgres": partial(ping, engine)},
        context=engine,
        verifier=verifier,
    )


if __name__ == "__main__":
    loaded = load(Settings)
    serve_for_development(create_app(loaded), loaded)
