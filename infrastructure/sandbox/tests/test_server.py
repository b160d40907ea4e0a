"""HTTP: malformed requests, limits, keep-alive."""

import json
import socket

import pytest
import requests

from infrastructure.sandbox.server import BODY_BYTES
from infrastructure.sandbox.tests.process import KEY, SandboxProcess


def exchange(sandbox: SandboxProcess, sent: bytes) -> bytes:
    """Send bytes, read until the other side closes."""
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=60) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x00\xff\xfe\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\n\r\n", 505),
        (b"BREW /livez HTTP/1.1\r\n\r\n", 501),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /livez HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"POST /v1/refunds HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /v1/refunds HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/refunds HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", 413),
        (b"POST /v1/refunds HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n", 413),
        (b"POST /v1/refunds HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    ],
)
def test_malformed_requests_are_rejected_as_json(sandbox: SandboxProcess, sent: bytes, status: int) -> None:
    head, _, body = exchange(sandbox, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert sandbox.answers()


def test_the_size_of_a_body_is_limited(sandbox: SandboxProcess) -> None:
    assert sandbox.post("/v1/refunds", b"a" * BODY_BYTES).status_code == 400  # read, and rejected by its content
    refused = requests.post(f"{sandbox.url}/v1/refunds", headers={"Content-Length": str(BODY_BYTES + 1)}, timeout=60)
    assert refused.status_code == 413


def test_a_body_that_ends_early_is_not_executed(sandbox: SandboxProcess) -> None:
    sent = (
        b"POST /v1/payment_intents HTTP/1.1\r\nAuthorization: Bearer sk_test_1\r\nContent-Length: 99\r\n\r\namount=1999"
    )
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=60) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_a_connection_serves_many_requests(sandbox: SandboxProcess) -> None:
    request = f"GET /v1/refunds?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n".encode()
    answers = exchange(sandbox, (request + b"\r\n") * 3 + request + b"Connection: close\r\n\r\n")
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4


def test_idle_connections_do_not_block_others(sandbox: SandboxProcess) -> None:
    silent = [socket.create_connection(("127.0.0.1", sandbox.port), timeout=60) for _ in range(100)]
    try:
        assert sandbox.answers()
    finally:
        for connection in silent:
            connection.close()
