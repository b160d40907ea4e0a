"""The settings of the jobs that create accounts: the administrator's credentials, and each account's password."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError

from common.setting_checks import HTTP_URL, POSTGRES_URL
from common.settings import setting


def passwords(value: Any) -> None:
    """A check: an object {account: password}."""
    if not isinstance(value, dict) or not all(isinstance(each, str) and each for each in value.values()):
        raise ValidationError("expected a JSON object: account -> password")


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """The settings of each of the jobs."""

    account_passwords: Mapping[str, str] = setting(
        "ACCOUNT_PASSWORDS", "json", check=passwords, meaning="Password of each account: a JSON object."
    )


@dataclass(frozen=True, kw_only=True)
class PostgresSettings(AccountSettings):
    """The settings of the job for PostgreSQL."""

    postgres_administrator_url: str = setting(
        "POSTGRES_ADMINISTRATOR_URL", check=POSTGRES_URL, meaning="PostgreSQL, as its administrator."
    )


@dataclass(frozen=True, kw_only=True)
class RabbitmqSettings(AccountSettings):
    """The settings of the job for RabbitMQ."""

    rabbitmq_administrator_url: str = setting(
        "RABBITMQ_ADMINISTRATOR_URL", check=HTTP_URL, meaning="RabbitMQ's management API, as its administrator."
    )


@dataclass(frozen=True, kw_only=True)
class MongodbSettings(AccountSettings):
    """The settings of the job for MongoDB."""

    mongodb_member: str = setting("MONGODB_MEMBER", meaning="HOST:PORT of the server in the replica set.")
    mongodb_administrator_password: str = setting(
        "MONGODB_ADMINISTRATOR_PASSWORD", meaning="Password of MongoDB's administrator."
    )
