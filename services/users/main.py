"""The users service: accounts, API keys, access tokens and the keys to verify them.

Production: `gunicorn -c python:common.web.gunicorn 'services.users.main:create_app()'`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from common.security.service_credentials import ServiceCredentials, check_credentials
from common.security.tokens import Verifier
from common.settings import DatabaseSettings, HttpSettings, load, setting
from common.storage.postgresql import make_engine, ping
from common.web import app_factory
from services import ROUTES_FILE
from services.users import api
from services.users.passwords import Passwords
from services.users.signing import Signer, check_key, check_public_keys, read_key, read_public_keys
from services.users.usecases import Context

if TYPE_CHECKING:
    from flask import Flask

NAME = "users"
# RATE_LIMIT_ROUTES is merged over these. A caller beyond the second limit waits: no e-mail is lost.
ROUTE_RATES = (
    "POST /api/v1/users=60/hour;"
    "GET /internal/v1/users/<uuid:user_id>/contact=6000/minute;"
    "POST /internal/v1/contacts=6000/minute"
)


@dataclass(frozen=True, kw_only=True)
class Settings(HttpSettings, DatabaseSettings):
    """The settings of this service. docs/signing-keys.md says how to rotate the key that signs tokens."""

    token_signing_key: str = setting(
        "TOKEN_SIGNING_KEY",
        check=check_key,
        meaning="Key that signs tokens: base64 of an Ed25519 key as PKCS8 PEM "
        "(`openssl genpkey -algorithm ed25519 | base64 -w0`).",
    )
    token_public_keys: str = setting(
        "TOKEN_PUBLIC_KEYS",
        default="",
        check=check_public_keys,
        meaning="Further trusted public keys, during a key rotation: each as `x` in its JWK, comma-separated.",
    )
    contact_tokens: str = setting(
        "CONTACT_TOKENS",
        default="",
        check=check_credentials,
        meaning="Service credentials that may read users' e-mail addresses, comma-separated. Empty: none.",
    )


def create_app(settings: Settings | None = None) -> Flask:
    settings = settings or load(Settings)
    engine = make_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        timeout_seconds=settings.database_timeout_seconds,
        name=f"service-{NAME}",
    )
    signer = Signer(read_key(settings.token_signing_key), read_public_keys(settings.token_public_keys))
    return app_factory.create_app(
        NAME,
        replace(settings, rate_limit_routes=f"{ROUTE_RATES};{settings.rate_limit_routes}"),
        blueprints=[api.users, api.keys, api.internal],
        ready_checks={"postgres": partial(ping, engine)},
        context=Context(engine, Passwords(), signer, ServiceCredentials(settings.contact_tokens)),
        verifier=Verifier(signer.keys()),  # its own keys, without a request to itself
        routes_file=ROUTES_FILE,
    )


if __name__ == "__main__":
    from common.web.development import serve_by_hand

    serve_by_hand(__file__, Settings, create_app)
