"""The orders service: `gunicorn -c python:common.web.gunicorn 'services.orders.main:create_app()'`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from common.setting_checks import between
from common.settings import DatabaseSettings, ServiceSettings, load, setting
from common.storage.postgresql import make_engine, ping
from common.web.app_factory import create_app as create_service
from common.web.load_shedding import Shedding
from services import ROUTES_FILE
from services.orders.api import Context, blueprint

if TYPE_CHECKING:
    from flask import Flask

    from common.security.tokens import Verifier


@dataclass(frozen=True, kw_only=True)
class Settings(ServiceSettings, DatabaseSettings):
    """The settings of the orders service. Beyond one of these backlogs new orders are rejected."""

    shed_outbox_lag_seconds: float = setting(
        "SHED_OUTBOX_LAG_SECONDS",
        "float",
        default=900.0,
        check=between(1, 10**7),
        meaning="Age of the oldest unpublished event, in seconds, beyond which new orders are rejected.",
    )
    shed_outbox_rows: int = setting(
        "SHED_OUTBOX_ROWS",
        "int",
        default=200_000,
        check=between(1, 10**9),
        meaning="Unpublished events beyond which new orders are rejected.",
    )
    shed_open_orders: int = setting(
        "SHED_OPEN_ORDERS",
        "int",
        default=200_000,
        check=between(1, 10**6),
        meaning="Open orders beyond which new ones are rejected.",
    )


def create_app(settings: Settings | None = None, verifier: Verifier | None = None) -> Flask:
    """The WSGI app. Tokens are verified by `verifier`, or with the keys that the users service publishes."""
    settings = settings or load(Settings)
    engine = make_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        timeout_seconds=settings.database_timeout_seconds,
        name="service-orders",
    )
    return create_service(
        "orders",
        settings,
        blueprints=[blueprint],
        ready_checks={"postgres": partial(ping, engine)},
        context=Context(engine, _shedding(settings)),
        verifier=verifier,
        routes_file=ROUTES_FILE,
    )


def _shedding(settings: Settings) -> Shedding:
    return Shedding(
        {
            "outbox_seconds": settings.shed_outbox_lag_seconds,
            "outbox_rows": settings.shed_outbox_rows,
            "open_orders": settings.shed_open_orders,
        }
    )


if __name__ == "__main__":
    from common.web.development import serve_by_hand

    serve_by_hand(__file__, Settings, create_app)
