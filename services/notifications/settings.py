"""The settings that the service and the worker of notifications share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet
from marshmallow import ValidationError

from common.environment import setting
from common.setting_checks import between, networks
from common.web.public_addresses import parse_networks
from services.notifications.domain import RETRY_SECONDS, Policy
from services.notifications.signing import SecretBox
from services.notifications.usecases import Rules


def _fernet_keys(value: str) -> None:
    try:
        SecretBox(value)
    except ValueError:
        example = Fernet.generate_key().decode()
        message = f"expected 32 bytes in URL-safe base64, as {example}; several comma-separated"
        raise ValidationError(message) from None


def _delays(value: str) -> None:
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if not 0 < len(numbers) <= 20 or not all(0 <= number <= 7 * 86_400 for number in numbers):  # noqa: PLR2004 - bounds
        raise ValidationError("expected 1 to 20 comma-separated numbers of seconds")


def _networks(value: str) -> None:
    if value:
        networks(value)


@dataclass(frozen=True, kw_only=True)
class WebhookSettings:
    """The settings of webhooks."""

    webhook_secret_keys: str = setting(
        "WEBHOOK_SECRET_KEYS",
        check=_fernet_keys,
        meaning="Comma-separated Fernet keys: the first encrypts signing secrets, each decrypts them.",
    )
    webhook_allowed_networks: str = setting(
        "WEBHOOK_ALLOWED_NETWORKS",
        default="",
        check=_networks,
        meaning="Non-public networks (CIDR, comma-separated) that webhooks may reach, also over http.",
    )
    webhook_retry_seconds: str = setting(
        "WEBHOOK_RETRY_SECONDS",
        default=",".join(f"{seconds:g}" for seconds in RETRY_SECONDS),
        check=_delays,
        meaning="Seconds before each attempt of a delivery, comma-separated.",
    )
    webhook_disable_after_seconds: float = setting(
        "WEBHOOK_DISABLE_AFTER_SECONDS",
        "float",
        default=5 * 86_400.0,
        check=between(1, 365 * 86_400),
        meaning="Duration of failure after which an endpoint is disabled.",
    )
    webhook_kept_seconds: float = setting(
        "WEBHOOK_KEPT_SECONDS",
        "float",
        default=30 * 86_400.0,
        check=between(60, 3650 * 86_400),
        meaning="Retention of delivered and dismissed deliveries.",
    )
    webhook_endpoints_per_owner: int = setting(
        "WEBHOOK_ENDPOINTS_PER_OWNER",
        "int",
        default=50,
        check=between(1, 10_000),
        meaning="Limit of endpoints per account.",
    )


def rules_of(settings: Any, *, max_failures: int) -> Rules:
    """The rules of the settings, for the use cases."""
    return Rules(
        box=SecretBox(settings.webhook_secret_keys),
        allowed=parse_networks(settings.webhook_allowed_networks),
        endpoints_per_owner=settings.webhook_endpoints_per_owner,
        policy=Policy(
            retry_seconds=tuple(float(part) for part in settings.webhook_retry_seconds.split(",")),
            max_failures=max_failures,
            disable_after_seconds=settings.webhook_disable_after_seconds,
            kept_seconds=settings.webhook_kept_seconds,
        ),
    )
