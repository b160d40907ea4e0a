"""The secrets of one stack: random, generated once per home, readable by its owner only.

Guarantee: existing secrets are kept (the servers' data depends on them); a secret of a newer version is added. They are
for development on one machine, not for production.
"""

import json
import secrets
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from infrastructure.database_roles import ALL_ROLES
from infrastructure.docker.secret_file import fernet_key, password, signing_key
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
        complete.databases.setdefault(role, password())
    for account in BROKER_ACCOUNTS:
        complete.brokers.setdefault(account.name, password())
    if asdict(complete) != known or path.stat().st_mode & 0o077:
        write_private(path, json.dumps(asdict(complete), indent=2) + "\n")
    return complete


_MAKERS: dict[str, Callable[[], str | dict[str, str]]] = {
    "identity": password,
    "postgres_password": password,
    "rabbitmq_user": lambda: f"holdfast-{secrets.token_hex(4)}",
    "rabbitmq_password": password,
    "erlang_cookie": password,
    "mongodb_password": password,
    "mongodb_key": lambda: secrets.token_hex(64),
    "token_signing_key": signing_key,
    "operator_password": password,
    "customer_password": password,
    "flower_password": password,
    "webhook_secret_keys": fernet_key,
    "contact_tokens": password,
    "databases": dict,
    "brokers": dict,
}
