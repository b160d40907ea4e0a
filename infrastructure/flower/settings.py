"""Flower's settings: where to listen, who may look, and the broker, as Flower's own account."""

from dataclasses import dataclass

from environs import validate

from common.setting_checks import urls_with
from common.settings import ListenSettings, LogSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(LogSettings, ListenSettings):
    """What Flower reads. Without an address it would look at a broker that it has no account for."""

    flower_basic_auth: str = setting(
        "FLOWER_BASIC_AUTH",
        check=validate.Regexp(r"^[^:\s]+:\S{8,}$", error="expected name:password"),
        meaning="Who may see Flower's pages: NAME:PASSWORD, the password of 8 characters or more.",
    )
    rabbitmq_url: str = setting(
        "RABBITMQ_URL", check=urls_with("amqp", "amqps"), meaning="RabbitMQ, as the account `flower`."
    )
    rabbitmq_management_url: str = setting(
        "RABBITMQ_MANAGEMENT_URL",
        check=urls_with("http", "https"),
        meaning="RabbitMQ's management API, as the account `flower`. Of a cluster likewise.",
    )
