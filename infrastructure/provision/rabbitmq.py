"""RabbitMQ's accounts, all in one request to the management API.

Guarantee: afterwards each account has the password and the permissions of the description; old ones are replaced.
Accounts that are not in the description, and everything else, are not changed.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import requests

from infrastructure.privileges import BROKER_ACCOUNTS, BrokerAccount

VIRTUAL_HOST = "/"
# The nodes of a cluster agree on each account, which takes long on a busy machine.
_REQUEST_SECONDS = 60


def provision(management_url: str, passwords: Mapping[str, str], virtual_host: str = VIRTUAL_HOST) -> None:
    """Create the accounts, and their permissions in the virtual host; `passwords` has each one's. Raises requests'
    errors.
    """
    with requests.Session() as session:
        session.trust_env = False  # ignore proxies from the environment
        answer = session.post(
            f"{management_url}/api/definitions", json=definitions(passwords, virtual_host), timeout=_REQUEST_SECONDS
        )
        answer.raise_for_status()


def definitions(passwords: Mapping[str, str], virtual_host: str = VIRTUAL_HOST) -> dict[str, list[dict[str, Any]]]:
    """Return RabbitMQ's own form of the description (https://www.rabbitmq.com/docs/definitions)."""
    return {
        "users": [_user(account, passwords[account.name]) for account in BROKER_ACCOUNTS],
        "permissions": [
            {
                "user": account.name,
                "vhost": virtual_host,
                "configure": account.configure,
                "write": account.write,
                "read": account.read,
            }
            for account in BROKER_ACCOUNTS
        ],
        "topic_permissions": [
            {
                "user": account.name,
                "vhost": virtual_host,
                "exchange": right.exchange,
                "write": right.write,
                "read": right.read,
            }
            for account in BROKER_ACCOUNTS
            for right in account.topics
        ],
    }


def _user(account: BrokerAccount, password: str) -> dict[str, Any]:
    return {
        "name": account.name,
        "password_hash": password_hash(account.name, password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": account.tag,
    }


def password_hash(name: str, password: str) -> str:
    """Return the broker's hash of a password (https://www.rabbitmq.com/docs/passwords).

    The salt is derived from name and password, so that it is idempotent; the passwords are long and random.
    """
    salt = hashlib.sha256(f"{name}\n{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
