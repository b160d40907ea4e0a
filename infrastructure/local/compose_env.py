"""The settings of a native process for the servers of compose.dev.yaml: addresses, and secrets from `.env`.

Guarantee: each folder gets the accounts of its own processes, like in containers.
"""

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from infrastructure.database_roles import ALL_ROLES
from infrastructure.document_roles import DOCUMENT_ACCOUNTS
from infrastructure.local import env_files
from infrastructure.local.credentials import Credentials
from infrastructure.local.home import DEFAULT_HOME, DEFAULT_PORT_BASE, Home
from infrastructure.privileges import BROKER_ACCOUNTS
from infrastructure.processes import RABBITMQ_MANAGEMENT_PORT_OFFSET

_HOME = Home(DEFAULT_HOME, DEFAULT_PORT_BASE)
_PORTS = {
    "POSTGRES_PORT": _HOME.port("postgres"),
    "RABBITMQ_PORT": _HOME.port("rabbitmq"),
    "MONGODB_PORT": _HOME.port("mongodb"),
    "SANDBOX_PORT": _HOME.port("sandbox"),
    "RABBITMQ_MANAGEMENT_PORT": _HOME.port_base + RABBITMQ_MANAGEMENT_PORT_OFFSET,
}


def read(file: Path) -> dict[str, str]:
    """Return the variables of compose's `.env`."""
    return {name: value or "" for name, value in dotenv_values(file, interpolate=False).items()}


def values_of(folder: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the values for the `.env` of a folder like `services/orders`."""
    stripe = {"STRIPE_API_KEY": variables.get("STRIPE_API_KEY", "")}
    if stripe["STRIPE_API_KEY"].startswith("sk_test_sandbox"):
        stripe = {}
    values = env_files.values_of(folder, _HOME, _credentials(variables), stripe)
    return {name: _with_ports(value, variables) for name, value in values.items()}


def _with_ports(value: str, variables: Mapping[str, str]) -> str:
    for name, port in _PORTS.items():
        value = value.replace(f"127.0.0.1:{port}", f"127.0.0.1:{variables.get(name) or port}")
    return value


def _credentials(variables: Mapping[str, str]) -> Credentials:
    servers = {**dict.fromkeys(ALL_ROLES, "POSTGRES"), **dict.fromkeys(DOCUMENT_ACCOUNTS, "MONGODB")}
    brokers = [account.name for account in BROKER_ACCOUNTS]
    return Credentials(
        identity="",
        postgres_password="",
        rabbitmq_user="",
        rabbitmq_password="",
        erlang_cookie="",
        mongodb_password="",
        mongodb_key="",
        token_signing_key=variables.get("TOKEN_SIGNING_KEY", ""),
        operator_password=variables.get("SEED_OPERATOR_PASSWORD", ""),
        customer_password=variables.get("SEED_CUSTOMER_PASSWORD", ""),
        flower_password="",
        webhook_secret_keys=variables.get("WEBHOOK_SECRET_KEYS", ""),
        contact_tokens=variables.get("CONTACT_TOKENS", ""),
        databases={name: variables[f"{server}_{name.upper()}_PASSWORD"] for name, server in servers.items()},
        brokers={name: variables[f"RABBITMQ_{name.upper().replace('-', '_')}_PASSWORD"] for name in brokers},
    )
