"""Flower's settings, read from the environment once at start; a bad one stops it and is named."""

from dataclasses import dataclass

from environs import Env, EnvError, validate

HIGHEST_PORT = 65_535
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """The environment does not describe a Flower that can start."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to serve, whom to let in (`name:password`), and the broker with its management API, as Flower's account."""

    host: str
    port: int
    basic_auth: str
    broker_url: str
    management_url: str
    log_level: str


def _urls(start: str, pattern: str) -> validate.Regexp:
    """One URL, or one for each node of a cluster, separated by `;`."""
    return validate.Regexp(rf"^{pattern}(;{pattern})*$", error=f"expected {start}, or several separated by ;")


def read_settings() -> Settings:
    """Read SERVICE_HOST, SERVICE_PORT, FLOWER_BASIC_AUTH, RABBITMQ_URL, RABBITMQ_MANAGEMENT_URL and LOG_LEVEL."""
    env = Env()
    try:
        return Settings(
            host=env.str("SERVICE_HOST", "127.0.0.1"),
            port=env.int("SERVICE_PORT", validate=validate.Range(min=1, max=HIGHEST_PORT)),
            basic_auth=env.str(
                "FLOWER_BASIC_AUTH", validate=validate.Regexp(r"^[^:\s]+:\S{8,}$", error="expected name:password")
            ),
            broker_url=env.str("RABBITMQ_URL", validate=_urls("amqp://", r"amqps?://[^;]+")),
            management_url=env.str("RABBITMQ_MANAGEMENT_URL", validate=_urls("http://", r"https?://[^;]+")),
            log_level=env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(LOG_LEVELS)),
        )
    except EnvError as error:
        raise SettingsError(str(error)) from error
