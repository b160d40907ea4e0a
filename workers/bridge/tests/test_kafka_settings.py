"""The settings' librdkafka configuration, and the combinations that are rejected by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from common.settings import load
from common.tests.bad_settings import started_with
from workers.bridge.kafka_settings import KafkaSettings, client_options
from workers.bridge.main import Settings, make_producer

if TYPE_CHECKING:
    from pathlib import Path

BASE = {"MONGODB_URL": "mongodb://127.0.0.1:1/archive", "KAFKA_BROKER_URL": "127.0.0.1:1"}
SASL = {"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512", "KAFKA_SASL_USERNAME": "bridge", "KAFKA_SASL_PASSWORD": "secret"}


def options(**settings: str) -> dict[str, object]:
    """The librdkafka configuration; fails unless librdkafka accepts it."""
    found: dict[str, object] = {}

    def start() -> None:
        found.update(client_options(load(KafkaSettings)))
        Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0} | found)

    code, printed = started_with(start, settings)
    assert code == 0, printed
    return found


def refused(**settings: str) -> str:
    """The output of a bridge that rejects its settings."""
    code, printed = started_with(lambda: make_producer(load(Settings)), BASE | settings)
    assert code == 2
    return printed


def test_plaintext_is_the_default() -> None:
    assert options() == {"security.protocol": "PLAINTEXT"}


def test_tls_uses_the_systems_certificate_authorities_by_default() -> None:
    assert options(KAFKA_SECURITY_PROTOCOL="SSL") == {"security.protocol": "SSL"}


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_settings_are_mapped_to_librdkafka(protocol: str, mechanism: str) -> None:
    assert options(KAFKA_SECURITY_PROTOCOL=protocol, **SASL | {"KAFKA_SASL_MECHANISM": mechanism}) == {
        "security.protocol": protocol,
        "sasl.mechanism": mechanism,
        "sasl.username": "bridge",
        "sasl.password": "secret",
    }


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, list(SASL)),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", **SASL, "KAFKA_SASL_PASSWORD": ""}, ["KAFKA_SASL_PASSWORD"]),
        (SASL, list(SASL)),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SASL_USERNAME": "bridge"}, ["KAFKA_SASL_USERNAME"]),
        ({"KAFKA_SSL_CA_FILE": __file__}, ["KAFKA_SSL_CA_FILE"]),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **SASL, "KAFKA_SSL_CA_FILE": __file__}, ["KAFKA_SSL_CA_FILE"]),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERTIFICATE_FILE": __file__}, ["KAFKA_SSL_KEY_FILE"]),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_FILE": __file__}, ["KAFKA_SSL_CERTIFICATE_FILE"]),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEY_PASSWORD": "secret"}, ["KAFKA_SSL_KEY_FILE"]),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, ["KAFKA_SECURITY_PROTOCOL"]),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", **SASL, "KAFKA_SASL_MECHANISM": "GSSAPI"}, ["KAFKA_SASL_MECHANISM"]),
    ],
)
def test_inconsistent_settings_are_named(settings: dict[str, str], names: list[str]) -> None:
    printed = refused(**settings)
    assert [line.split()[2].rstrip(":") for line in printed.splitlines()] == names
    assert "secret" not in printed


@pytest.mark.parametrize("name", ["KAFKA_SSL_CA_FILE", "KAFKA_SSL_CERTIFICATE_FILE", "KAFKA_SSL_KEY_FILE"])
def test_an_unreadable_file_is_named(name: str, tmp_path: Path) -> None:
    printed = refused(KAFKA_SECURITY_PROTOCOL="SSL", **{name: str(tmp_path / "none")})
    assert printed.startswith(f"bad setting {name}: expected a file that can be read")


def test_an_invalid_certificate_file_is_named() -> None:
    printed = refused(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_FILE=__file__)
    assert printed.startswith("bad setting KAFKA_SSL_CA_FILE: ")
