"""`Allow` names the methods that are there, on a real service process: those that are not answered 405."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import pytest

from common.tests.sample_service import bearer

if TYPE_CHECKING:
    from common.tests.served import Server

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


def send(server: Server, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/things", "GET, HEAD, OPTIONS, POST"),
        ("/things/a", "GET, HEAD, OPTIONS"),
        ("/things/recall", "OPTIONS, POST"),  # not the thing of that name: an address of its own
        ("/things/sign-in", "OPTIONS, POST"),
        ("/things/fail/not", "OPTIONS, POST"),
        ("/docs", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
        ("/livez", "GET, HEAD, OPTIONS"),
    ],
)
def test_allow_names_what_is_there_and_nothing_else(server: Server, path: str, allowed: str) -> None:
    replies = {method: send(server, method, path, **bearer(role="operator")) for method in METHODS}
    there = [method for method, reply in replies.items() if reply.status != 405]
    assert ", ".join(sorted(there)) == allowed
    assert {reply.headers["Allow"] for reply in replies.values() if reply.status == 405} == {allowed}
    assert (replies["OPTIONS"].status, replies["OPTIONS"].headers["Allow"]) == (204, allowed)


def test_options_needs_no_token_and_tells_nothing_where_nothing_is(server: Server) -> None:
    reply = send(server, "OPTIONS", "/things/a")
    assert (reply.status, reply.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert reply.headers["Content-Type"] is None
    reply = send(server, "OPTIONS", "/nothing")
    assert (reply.status, reply.headers["Allow"]) == (404, None)
