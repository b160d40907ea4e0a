"""The bridge connects by TLS only to a broker whose certificate it can verify."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from workers.bridge.tests.kafka import MockCluster, tls_listener
from workers.bridge.tests.test_main import Process, archive, bridge, check, eventually, log, stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.archive.event_log import EventLog

__all__ = ["bridge", "log"]  # fixtures
pytestmark = pytest.mark.integration


def certificate(folder: Path, address: str = "127.0.0.1") -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kafka")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = folder / f"{address}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


def server(file: Path, clients: Path | None = None) -> ssl.SSLContext:
    """TLS with that certificate; with `clients`, only for clients with a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


def test_events_are_published_by_tls(log: EventLog, bridge: Callable[..., Process], tmp_path: Path) -> None:
    cluster, file = MockCluster(), certificate(tmp_path)
    ids = archive(log, 5)
    with tls_listener(cluster, server(file)) as address:
        process = bridge(address, KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_FILE=str(file))
        eventually(lambda: stored(log) == len(ids), process)
        assert process.stop() == 0
    assert check(cluster, ids) == 0


def test_the_client_certificate_is_presented(log: EventLog, bridge: Callable[..., Process], tmp_path: Path) -> None:
    cluster, file, own = MockCluster(), certificate(tmp_path), certificate(tmp_path, "127.0.0.2")
    ids = archive(log, 5)
    settings = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_FILE": str(file)}
    settings |= {"KAFKA_SSL_CERTIFICATE_FILE": str(own), "KAFKA_SSL_KEY_FILE": str(own)}
    with tls_listener(cluster, server(file, clients=own)) as address:
        process = bridge(address, **settings)
        eventually(lambda: stored(log) == len(ids), process)
        assert process.stop() == 0
    assert check(cluster, ids) == 0


@pytest.mark.parametrize("is_known", [True, False], ids=["another-name", "another-authority"])
def test_an_untrusted_broker_receives_no_event(
    log: EventLog, bridge: Callable[..., Process], tmp_path: Path, *, is_known: bool
) -> None:
    cluster = MockCluster()
    file = certificate(tmp_path, "127.0.0.2" if is_known else "127.0.0.1")
    (tmp_path / "other").mkdir()
    trusted = file if is_known else certificate(tmp_path / "other")
    archive(log, 1)
    with tls_listener(cluster, server(file)) as address:
        process = bridge(address, KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_FILE=str(trusted))
        eventually(lambda: "certificate verify failed" in process.log.read_text(), process)
        assert stored(log) == 0
        process.kill()


def test_inconsistent_settings_stop_the_process(bridge: Callable[..., Process]) -> None:
    process = bridge("127.0.0.1:1", KAFKA_SASL_USERNAME="bridge")
    assert process.process.wait(60) == 2
    assert "bad setting KAFKA_SASL_USERNAME: needs KAFKA_SECURITY_PROTOCOL" in process.log.read_text()
