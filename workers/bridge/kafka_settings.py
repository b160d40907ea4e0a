"""The bridge's Kafka settings: address, TLS, SASL. Inconsistent settings are reported one by one.

The names are those of librdkafka's configuration
(https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md). Kafka's certificate is checked, and its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError, validate

from common.setting_checks import one_of
from common.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL = PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _readable(value: str) -> None:
    try:
        with Path(value).open("rb"):
            pass
    except OSError as error:
        message = f"expected a file that can be read: {error.strerror}"
        raise ValidationError(message) from None


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """The address of Kafka, and the credentials of the bridge."""

    kafka_broker_url: str | None = setting(
        "KAFKA_BROKER_URL",
        default=None,
        check=validate.Regexp(
            r"^[^\s/,]+:[0-9]{1,5}(,[^\s/,]+:[0-9]{1,5})*$", error="expected HOST:PORT, comma-separated"
        ),
        meaning="Kafka, for the events of the archive: HOST:PORT, comma-separated. Empty: no bridge.",
    )
    kafka_security_protocol: str = setting(
        "KAFKA_SECURITY_PROTOCOL",
        default=PLAINTEXT,
        check=one_of(*PROTOCOLS),
        meaning="Protocol to Kafka: PLAINTEXT, SSL (TLS), SASL_PLAINTEXT or SASL_SSL (with a user name).",
    )
    kafka_ssl_ca_file: str | None = setting(
        "KAFKA_SSL_CA_FILE",
        default=None,
        check=_readable,
        meaning="With SSL: PEM file of the CAs that sign Kafka's certificates. Empty: the system's.",
    )
    kafka_ssl_certificate_file: str | None = setting(
        "KAFKA_SSL_CERTIFICATE_FILE",
        default=None,
        check=_readable,
        meaning="With SSL: PEM file of the bridge's own certificate, if Kafka asks for one.",
    )
    kafka_ssl_key_file: str | None = setting(
        "KAFKA_SSL_KEY_FILE", default=None, check=_readable, meaning="PEM file of that certificate's private key."
    )
    kafka_ssl_key_password: str | None = setting(
        "KAFKA_SSL_KEY_PASSWORD", default=None, meaning="Password of that private key, if it has one."
    )
    kafka_sasl_mechanism: str | None = setting(
        "KAFKA_SASL_MECHANISM",
        default=None,
        check=one_of(*MECHANISMS),
        meaning="With SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.",
    )
    kafka_sasl_username: str | None = setting("KAFKA_SASL_USERNAME", default=None, meaning="With SASL: the user name.")
    kafka_sasl_password: str | None = setting("KAFKA_SASL_PASSWORD", default=None, meaning="With SASL: its password.")


_TLS = {
    "KAFKA_SSL_CA_FILE": "ssl.ca.location",
    "KAFKA_SSL_CERTIFICATE_FILE": "ssl.certificate.location",
    "KAFKA_SSL_KEY_FILE": "ssl.key.location",
    "KAFKA_SSL_KEY_PASSWORD": "ssl.key.password",
}
_TOGETHER = (
    ("KAFKA_SSL_KEY_FILE", "KAFKA_SSL_CERTIFICATE_FILE"),
    ("KAFKA_SSL_CERTIFICATE_FILE", "KAFKA_SSL_KEY_FILE"),
    ("KAFKA_SSL_KEY_FILE", "KAFKA_SSL_KEY_PASSWORD"),
)
_SASL = {
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
}


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """The librdkafka configuration of these settings."""
    given = {option: value for name, option in (_TLS | _SASL).items() if (value := _value(settings, name))}
    return {"security.protocol": settings.kafka_security_protocol} | given


def problems(settings: KafkaSettings) -> dict[str, str]:
    """Inconsistencies: a reason by the name of each setting to change. Empty if there are none."""
    return dict(_problems(settings))


def problem_of(error: str) -> dict[str, str]:
    """The setting that librdkafka rejects, with its reason; empty if its error names none of them."""
    return {name: error for name, option in (_TLS | _SASL).items() if option in error}


def _problems(settings: KafkaSettings) -> Iterator[tuple[str, str]]:
    protocol = settings.kafka_security_protocol
    has_sasl, has_tls = protocol in {SASL_PLAINTEXT, SASL_SSL}, protocol in {SSL, SASL_SSL}
    for name in _SASL:
        if has_sasl and not _value(settings, name):
            yield name, f"required with KAFKA_SECURITY_PROTOCOL={protocol}"
    for names, is_used, expected in (
        (_SASL, has_sasl, "SASL_SSL or SASL_PLAINTEXT"),
        (_TLS, has_tls, "SSL or SASL_SSL"),
    ):
        for name in names:
            if not is_used and _value(settings, name):
                yield name, f"needs KAFKA_SECURITY_PROTOCOL={expected}, which is {protocol}"
    for name, other in _TOGETHER:
        if _value(settings, other) and not _value(settings, name):
            yield name, f"required with {other}"


def _value(settings: KafkaSettings, name: str) -> str | None:
    found: str | None = getattr(settings, name.lower())
    return found
