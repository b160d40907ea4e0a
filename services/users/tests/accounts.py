"""Settings and common calls for the tests of users."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.users.main import Settings

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

NOWHERE = "postgresql+psycopg2://users:secret@127.0.0.1:1/users"
JOHN: dict[str, Any] = {"username": "johndoe", "email": "john.doe@example.com"}
PASSWORD = "correct horse battery staple"
THREADS = 20
CONTACT_TOKEN, NEXT_CONTACT_TOKEN = "a" * 32, "b" * 32


def signing_key() -> str:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(pem).decode()


def settings(database_url: str) -> Settings:
    return Settings(
        log_level="WARNING",
        service_port=1,
        service_host="127.0.0.1",
        service_threads=THREADS,
        database_url=database_url,
        database_timeout_seconds=60,
        token_signing_key=signing_key(),
        contact_tokens=f"{CONTACT_TOKEN},{NEXT_CONTACT_TOKEN}",
    )


def answer(reply: TestResponse) -> Any:
    return reply.get_json()


def register(client: FlaskClient, **body: str) -> dict[str, Any]:
    reply = client.post("/api/v1/users", json=JOHN | body)
    assert reply.status_code == 201, answer(reply)
    made: dict[str, Any] = answer(reply)
    return made


def sign_in(client: FlaskClient, **credentials: str) -> dict[str, str]:
    """The authorization header for these credentials."""
    reply = client.post("/api/v1/tokens", json=credentials)
    assert reply.status_code == 200, answer(reply)
    return {"Authorization": f"Bearer {answer(reply)['access_token']}"}
