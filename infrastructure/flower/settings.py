"""Flower's settings, read from the environment once at start; a bad one stops it and is named."""

from dataclasses import dataclass

from environs import validate

from infrastructure.settings import Served, environment, read_served


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to serve, whom to let in (`name:password`), and the broker with its management API, as Flower's account."""

    served: Served
    basic_auth: str
    broker_url: str
    management_url: str


def read_settings() -> Settings:
    """Read FLOWER_BASIC_AUTH, RABBITMQ_URL, RABBITMQ_MANAGEMENT_URL, and where to serve."""
    with environment() as env:
        return Settings(
            served=read_served(env),
            basic_auth=env.str(
                "FLOWER_BASIC_AUTH", validate=validate.Regexp(r"^[^:\s]+:\S{8,}$", error="expected name:password")
            ),
            broker_url=env.str("RABBITMQ_URL", validate=validate.Regexp(r"^amqps?://", error="expected amqp://")),
            management_url=env.str(
                "RABBITMQ_MANAGEMENT_URL", validate=validate.Regexp(r"^https?://", error="expected http://")
            ),
        )
