"""Every rejection by nginx is a problem document with the request's id; its own pages are never sent."""

import json
import socket
from contextlib import suppress

import pytest

from infrastructure.gateway.tests.upstreams import Front, front

__all__ = ["front"]  # the fixture
pytestmark = pytest.mark.integration

ORDERS = b"POST /api/v1/orders HTTP/1.1\r\n"
END = b"Connection: close\r\n\r\n"
REQUESTS = {
    "one word": (400, b"GARBAGE\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "method in small letters": (400, b"get /docs HTTP/1.1\r\nHost: x\r\n" + END),
    "no version of ours": (400, b"GET /docs HTTP/3.0\r\nHost: x\r\n" + END),
    "no host": (400, b"GET /docs HTTP/1.1\r\n" + END),
    "empty host": (400, b"GET /docs HTTP/1.1\r\nHost: /\r\n" + END),
    "two hosts": (400, b"GET /docs HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + END),
    "a header without a colon": (400, b"GET /docs HTTP/1.1\r\nHost: x\r\nnonsense\x00\r\n" + END),
    "outside the root": (400, b"GET /../docs HTTP/1.1\r\nHost: x\r\n" + END),
    "a bad escape": (400, b"GET /%zz HTTP/1.1\r\nHost: x\r\n" + END),
    "a zero byte": (400, b"GET /%00 HTTP/1.1\r\nHost: x\r\n" + END),
    "bad length": (400, ORDERS + b"Host: x\r\nContent-Length: -1\r\n" + END),
    "two lengths": (400, ORDERS + b"Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + END),
    "length and chunks": (400, ORDERS + b"Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n" + END),
    "unknown coding": (400, ORDERS + b"Host: x\r\nTransfer-Encoding: gzip\r\n" + END),
    "bad chunk": (400, ORDERS + b"Host: x\r\nTransfer-Encoding: chunked\r\n" + END + b"xyz\r\n"),
    "nothing here": (404, b"GET /nothing HTTP/1.1\r\nHost: x\r\n" + END),
    "internal address": (404, b"GET /.problem/not-found HTTP/1.1\r\nHost: x\r\n" + END),
    "trace": (405, b"TRACE /docs HTTP/1.1\r\nHost: x\r\n" + END),
    "connect": (400, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n" + END),
    "post to a page": (405, b"POST /docs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + END),
    "delete of a page": (405, b"DELETE /docs HTTP/1.1\r\nHost: x\r\n" + END),
    "body too large": (413, ORDERS + b"Host: x\r\nContent-Length: 9999999\r\n" + END),
    "line too long": (414, b"GET /docs?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n" + END),
    "header too long": (431, b"GET /docs HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n" + END),
    "headers too long": (431, b"GET /docs HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"a" * 9_000 + b"\r\n") * 20 + END),
    "beyond the end": (416, b"GET /docs HTTP/1.1\r\nHost: x\r\nRange: bytes=99999999-\r\n" + END),
    "changed since": (412, b'GET /docs HTTP/1.1\r\nHost: x\r\nIf-Match: "other"\r\n' + END),
    "modified since": (
        412,
        b"GET /docs HTTP/1.1\r\nHost: x\r\nIf-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT\r\n" + END,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("status", "request_"), REQUESTS.values(), ids=REQUESTS)
def test_a_rejection_by_nginx_is_a_problem_document(front: Front, status: int, request_: bytes) -> None:
    head, _, body = sent(front, request_).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert lines[0].startswith(f"HTTP/1.1 {status} "), lines[0]
    assert headers["Content-Type"] == "application/problem+json"
    document = json.loads(body)
    assert (document["status"], document["request_id"]) == (status, headers["Request-Id"])


def sent(front: Front, request: bytes) -> bytes:
    """The whole response until nginx closes the connection or stops sending."""
    with socket.create_connection(("127.0.0.1", front.home.port("gateway")), timeout=60) as connection:
        connection.sendall(request)
        text = b""
        with suppress(TimeoutError, ConnectionResetError):
            while chunk := connection.recv(65536):
                text += chunk
    return text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/docs", "GET, HEAD"),
        ("OPTIONS", "/docs", "GET, HEAD"),
        ("TRACE", "/docs?a", "GET, HEAD"),
        ("TRACE", "/", "OPTIONS"),
        ("TRACE", "/console/orders", "OPTIONS"),
        ("TRACE", "/api/v1/tokens", "OPTIONS"),  # which supports neither GET nor HEAD
        ("TRACE", "/api/v1/orders/1/timeline", "OPTIONS"),
        ("TRACE", "/api/v1/nothing", None),
        ("TRACE", "/nothing", None),
    ],
)
def test_allow_lists_only_supported_methods(front: Front, method: str, path: str, allowed: str | None) -> None:
    reply = front.get(path, method=method)
    assert (reply.status_code, reply.headers.get("Allow")) == (405, allowed)
