"""The secrets of one stack: random, generated once per home, readable by its owner only.

Guarantee: existing secrets are kept (the servers' data depends on them); a secret of a newer version is added. They are
for development on one machine, not for production.
"""

import base64
import json
import secrets
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infrastructure.database_roles import ALL_ROLES
from infrastructure.document_roles import DOCUMENT_ACCOUNTS
from infrastructure.local.errors import StackError
from infrastructure.local.home import Home, write_private
from infrastructure.privileges import BROKER_ACCOUNTS


@dataclass(frozen=True, slots=True)
class Credentials:
    """Every secret by its use. `databases` and `brokers` have one password per account; `identity` identifies the
    home.
    """

    identity: str
    postgres_password: str
    rabbitmq_user: str
    rabbitmq_password: str
    erlang_cookie: str
    mongodb_password: str
    mongodb_key: str
    token_signing_key: str
    operator_password: str
    customer_password: str
    flower_password: str
    webhook_secret_keys: str
    contact_tokens: str
    databases: dict[str, str]
    brokers: dict[str, str]


def credentials_file(home: Home) -> Path:
    return home.path / "secrets.json"


def load_credentials(home: Home) -> Credentials:
    """Return the home's secrets; missing ones are generated and stored."""
    path = credentials_file(home)
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = {}
    except ValueError as error:
        raise StackError(f"{path} is damaged: {error}") from error
    made: dict[str, Any] = {field.name: _MAKERS[field.name]() for field in fields(Credentials)}
    complete = Credentials(**{name: deepcopy(known.get(name)) or fresh for name, fresh in made.items()})
    for role in (*ALL_ROLES, *DOCUMENT_ACCOUNTS):
        complete.databases.setdefault(role, _password())
    for account in BROKER_ACCOUNTS:
        complete.brokers.setdefault(account.name, _password())
    if asdict(complete) != known or path.stat().st_mode & 0o077:
        write_private(path, json.dumps(asdict(complete), indent=2) + "\n")
    return complete


def _password() -> str:
    return secrets.token_hex(16)


def _signing_key() -> str:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return base64.b64encode(pem).decode()


_MAKERS: dict[str, Callable[[], str | dict[str, str]]] = {
    "identity": _password,
    "postgres_password": _password,
    "rabbitmq_user": lambda: f"holdfast-{secrets.token_hex(4)}",
    "rabbitmq_password": _password,
    "erlang_cookie": _password,
    "mongodb_password": _password,
    "mongodb_key": lambda: secrets.token_hex(64),
    "token_signing_key": _signing_key,
    "operator_password": _password,
    "customer_password": _password,
    "flower_password": _password,
    "webhook_secret_keys": lambda: Fernet.generate_key().decode(),
    "contact_tokens": _password,
    "databases": dict,
    "brokers": dict,
}
