"""Flower's settings: address, credentials of viewers, and the broker with Flower's own account."""

from dataclasses import dataclass

from environs import validate

from common.setting_checks import urls_with
from common.settings import ListenSettings, LogSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, ListenSettings):
    """The settings of Flower. The broker has no default: Flower has no account at the default one."""

    flower_basic_auth: str = setting(
        "FLOWER_BASIC_AUTH",
        check=validate.Regexp(r"^[^:\s]+:\S{8,}$", error="expected name:password"),
        meaning="Credentials for Flower's pages: NAME:PASSWORD, with a password of 8 characters or more.",
    )
    rabbitmq_url: str = setting(
        "RABBITMQ_URL", check=urls_with("amqp", "amqps"), meaning="RabbitMQ, as the account `flower`."
    )
    rabbitmq_management_url: str = setting(
        "RABBITMQ_MANAGEMENT_URL",
        check=urls_with("http", "https"),
        meaning="RabbitMQ's management API, as the account `flower`. Nodes separated by `;`.",
    )
