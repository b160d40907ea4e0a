"""Requests to customers' URLs, against real servers on this machine."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.tests.webhook_receiver import Reply, receiving
from common.web.guarded_http import GuardedClient
from common.web.public_addresses import parse_networks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = parse_networks("127.0.0.0/8")


@contextmanager
def client(networks: Any = LOOPBACK, seconds: float = 60.0, **options: Any) -> Iterator[GuardedClient]:
    made = GuardedClient(networks, seconds=seconds, max_answer_bytes=1000, **options)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def scripted(*parts: bytes, pause: float = 0.0, endless: bool = False) -> Iterator[str]:
    """A server that sends these bytes whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            connection.recv(65_536)
            while not ended.is_set():
                try:
                    for part in parts:
                        connection.sendall(part)
                        time.sleep(pause)
                except OSError:
                    return
                if not endless:
                    return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        ended.set()


def test_a_request_comes_back_with_status_headers_and_the_first_part_of_the_body() -> None:
    with receiving() as receiver, client() as http:
        receiver.replies["/big"] = Reply(202, {"x-kind": "big"}, b"x" * 10_000, chunks=1000)
        answer = http.post(f"{receiver.url}/big?a=1", b"hello", {"x-test": "1"})
        assert (answer.status, answer.excerpt, answer.error) == (200, b"ok", "")
        answer = http.post(f"{receiver.url}/big", b"hello", {"x-test": "1"})
        assert (answer.status, answer.excerpt, answer.headers["x-kind"]) == (202, b"x" * 1000, "big")
        assert receiver.at("/big")[0].body == b"hello"
        assert receiver.at("/big")[0].headers["x-test"] == "1"
        assert receiver.at("/big")[0].headers["host"] == receiver.url.removeprefix("http://")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"])
def test_an_address_that_is_not_public_is_not_connected_to(host: str) -> None:
    with receiving() as receiver, client([]) as http:
        port = receiver.url.rpartition(":")[2]
        answer = http.post(f"http://{host}:{port}/x", b"", {})
        assert answer.status is None
        assert answer.error.startswith(("AddressRefusedError", "LocationParseError"))
        assert receiver.requests == []


def test_a_name_with_one_forbidden_address_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    with client([]) as http:
        assert "10.0.0.1" in http.post("http://both.example/", b"", {}).error


def test_a_name_is_resolved_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked twice, a name server could answer with another address the second time."""
    resolved: list[str] = []
    resolve = socket.getaddrinfo

    def counted(host: str, port: int, **options: Any) -> Any:
        resolved.append(host)
        return resolve("127.0.0.1", port, **options)

    with receiving() as receiver, client() as http:
        monkeypatch.setattr(socket, "getaddrinfo", counted)
        url = receiver.url.replace("127.0.0.1", "shop.example")
        assert http.post(url, b"", {}).status == 200
        assert resolved == ["shop.example"]
        assert receiver.requests[0].headers["host"].startswith("shop.example")


def test_redirects_are_not_followed_and_proxies_of_the_environment_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with receiving() as receiver, client() as http:
        receiver.replies["/from"] = Reply(302, {"location": f"{receiver.url}/to"})
        assert http.post(f"{receiver.url}/from", b"", {}).status == 302
        assert receiver.at("/to") == []


def test_a_kept_connection_serves_the_next_request() -> None:
    with receiving() as receiver, client() as http:
        assert [http.post(f"{receiver.url}/{number}", b"", {}).status for number in range(3)] == [200] * 3


def test_a_kept_connection_that_was_closed_is_no_failure_of_the_server() -> None:
    """The second request comes in on the first connection, which is closed over it."""
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            for replies in ([ok, b""], [ok]):
                connection, _ = listener.accept()
                with connection:
                    for reply in replies:
                        seen.append(connection.recv(65_536))
                        connection.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with client() as http:
        assert [http.post(url, b"", {}).status for _ in range(2)] == [200, 200]
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x"), 200),
        ((b"H",), None),
        ((b"HTTP/1.1 200 OK\r\nx-a: ", b"b"), None),
    ],
    ids=["body", "status-line", "headers"],
)
def test_an_answer_that_trickles_ends_by_the_deadline(parts: tuple[bytes, ...], status: int | None) -> None:
    first, rest = parts[:1], parts[1:] or parts
    seconds = 5.0 if status else 1.0  # the head of the answer has to come in time
    with scripted(*first, *rest * 5000, pause=0.05) as url, client(seconds=seconds) as http:
        answer = http.post(url, b"", {})
        assert answer.status == status
        assert answer.seconds < 60


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 999999 \r\n\r\n", b"HTTP/1.1 -1 x\r\n\r\n"])
def test_a_malformed_response_is_an_error(answer: bytes) -> None:
    with scripted(answer) as url, client() as http:
        got = http.post(url, b"", {})
        assert got.status is None
        assert got.error


def _certificate(name: str, folder: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    file = folder / f"{name}.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


@contextmanager
def _tls_server(certificate: Path, seen: list[str | None]) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            except (ssl.SSLError, ConnectionError):  # the client may have hung up already
                continue
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_tls_names_the_host_and_checks_its_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, seen = _certificate("shop.example", tmp_path), list[str | None]()
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, port, **options: resolve("127.0.0.1", port, **options))
    with _tls_server(certificate, seen) as port:
        with client(ca_file=str(certificate)) as http:
            assert http.post(f"https://shop.example:{port}/", b"", {}).status == 204
            assert seen == ["shop.example"]
            assert "SSL" in http.post(f"https://other.example:{port}/", b"", {}).error
        with client() as http:  # nobody vouches for it
            assert "SSL" in http.post(f"https://shop.example:{port}/", b"", {}).error
