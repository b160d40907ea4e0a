"""The inventory service: `gunicorn -c python:common.web.gunicorn 'services.inventory.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.settings import DatabaseSettings, ServiceSettings, load
from common.storage.postgresql import make_engine, ping
from common.web.app_factory import create_app as create_service
from services import ROUTES_FILE
from services.inventory.api import blueprint

if TYPE_CHECKING:
    from flask import Flask

    from common.security.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, DatabaseSettings):
    """The settings of the inventory service."""


def create_app(settings: Settings | None = None, *, verifier: Verifier | None = None) -> Flask:
    """The app; tokens are verified by `verifier`, or with the keys at JWKS_URL."""
    settings = settings or load(Settings)
    engine = make_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        timeout_seconds=settings.database_timeout_seconds,
        name="service-inventory",
    )
    return create_service(
        "inventory",
        settings,
        blueprints=[blueprint],
        ready_checks={"postgres": partial(ping, engine)},
        context=engine,
        verifier=verifier,
        routes_file=ROUTES_FILE,
    )


if __name__ == "__main__":
    from common.web.development import serve_by_hand

    serve_by_hand(__file__, Settings, create_app)
