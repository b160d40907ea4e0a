"""Requests that no HTTP client would send, to a real service process."""

from __future__ import annotations

import json
import re
import socket
from contextlib import suppress
from typing import Any

import pytest
from gunicorn.http.errors import InvalidResponseHeader

from common.tests.served import Server
from common.web.bad_requests import answer

START = b"POST /things HTTP/1.1\r\nHost: x\r\nRequest-Id: mine\r\nContent-Type: application/json\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
SECRET = "eyJhbGciOiJFZERTQSJ9"


def send(server: Server, request: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """The status, headers and problem document of the one reply, after which the server ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        text = b""
        with suppress(ConnectionError):  # it may end the connection before it has all of the request
            connection.sendall(request)
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                text += chunk
    head, _, body = text.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)


def assert_problem(server: Server, request: bytes, status: int, code: str) -> dict[str, Any]:
    given, headers, document = send(server, request)
    assert (given, document["status"], document["code"]) == (status, status, code)
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Request-Id"] == document["request_id"]
    assert headers["Connection"] == "close"
    return document


@pytest.mark.parametrize(
    "chunks",
    [b"xyz\r\n", b"-1\r\n", b"5\r\nhello!\r\n", b"5;\x00\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n",
     b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nno colon\r\n\r\n"],
)  # fmt: skip
def test_malformed_chunks_are_400(server: Server, chunks: bytes) -> None:
    document = assert_problem(server, CHUNKED + chunks, 400, "malformed_request")
    assert (document["request_id"], document["instance"]) == ("mine", "/things")


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x01\r\n\r\n",
        START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        START + b"Content-Length: -5\r\n\r\n",
        START + b"Content-Length: five\r\n\r\n",
        START + b"Transfer-Encoding: tea\r\n\r\n",
        START.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_a_malformed_head_is_400(server: Server, head: bytes) -> None:
    document = assert_problem(server, head, 400, "malformed_request")
    assert document["request_id"] == "mine" if b"Request-Id" in head else len(document["request_id"]) == 36


def test_what_is_too_long_has_a_status_of_its_own(server: Server) -> None:
    many = b"".join(b"X%d: a\r\n" % number for number in range(90))
    assert_problem(server, START + many + b"\r\n", 431, "header_too_large")
    assert_problem(server, START + b"X: " + b"a" * 17_000 + b"\r\n\r\n", 431, "header_too_large")
    assert_problem(server, b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000, 431, "header_too_large")
    assert_problem(server, b"GET /" + b"a" * 4100 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long")
    assert_problem(server, START + b"Content-Length: 70000\r\n\r\n" + b" " * 70_000, 413, "body_too_large")
    assert_problem(server, CHUNKED + b"FFFFF\r\n" + b" " * 0xFFFFF, 413, "body_too_large")
    assert_problem(server, START + b"Expect: tea\r\n\r\n", 417, "expectation_failed")


def test_no_client_chooses_where_the_app_is_mounted(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nSCRIPT_NAME: /elsewhere\r\nConnection: close\r\n\r\n")
        assert connection.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 400")


def test_each_is_a_line_in_the_log_that_holds_no_header() -> None:
    server = Server()
    heads = (f"X\r\nAuthorization {SECRET}", f"Authorization Bearer {SECRET}", f"Bearer: a\r\n {SECRET}")
    for head in heads:
        assert send(server, b"GET /things/a?key=%b HTTP/1.1\r\n%b\r\n\r\n" % (SECRET.encode(), head.encode()))[0] == 400
    assert_problem(server, CHUNKED + b"xyz\r\n", 400, "malformed_request")
    assert 'http_bad_requests_total{status="400"} 4.0' in server.ask("GET", "/metrics").body.decode()
    output = server.stop()
    lines = [json.loads(line) for line in output.splitlines()]
    refused = [(line["path"], line["caller"]) for line in lines if line.get("status") == 400]
    assert refused == [("/things/a", "127.0.0.1")] * 3 + [("/things", "127.0.0.1")]
    assert SECRET not in output


def test_a_header_that_the_app_got_wrong_is_our_fault() -> None:
    reply = answer(InvalidResponseHeader("'X-A'"), b"GET /a HTTP/1.1\r\n\r\n", ("127.0.0.1", 1))
    assert re.match(rb"HTTP/1\.1 500 Internal Server Error\r\n", reply)
