"""The page that replaces the console while its service does not answer: `console_away.html.j2`."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infrastructure.gateway.render import unavailable_page
from infrastructure.gateway.routes import CONSOLE
from infrastructure.gateway.tests.upstreams import Front, Upstream, front

__all__ = ["front"]
RETRY = '<meta http-equiv="refresh" content="5">'


@contextmanager
def away(front: Front) -> Iterator[None]:
    front.upstreams[CONSOLE].stop()
    try:
        yield
    finally:
        front.upstreams[CONSOLE] = Upstream(CONSOLE, front.home.port(f"service-{CONSOLE}"))


@pytest.mark.parametrize("path", ["/", "/?done=injected", "/console/orders", "/console/promises"])
def test_an_unavailable_console_is_a_page_with_the_request_id(front: Front, path: str) -> None:
    with away(front):
        reply = front.get(path, headers={"Request-Id": "mine-1"})
    assert (reply.status_code, reply.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert reply.headers["Request-Id"] == "mine-1"
    assert "<code>mine-1</code>" in reply.text
    assert "The console does not answer." in reply.text
    assert RETRY in reply.text
    assert "$" not in reply.text
    assert reply.headers["Retry-After"] == "5"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "script" not in reply.headers["Content-Security-Policy"]
    assert "'sha256-" in reply.headers["Content-Security-Policy"]
    assert front.get(path).status_code == 200


def test_a_form_is_not_resent_and_its_request_id_is_escaped(front: Front) -> None:
    with away(front):
        reply = front.get("/console/break", method="POST", data={"a": "b"}, headers={"Request-Id": "<b>"})
    assert reply.status_code == 503
    assert RETRY not in reply.text
    assert "it is not known whether it was executed" in reply.text
    assert "<code><b></code>" not in reply.text


def test_an_unavailable_api_returns_json(front: Front) -> None:
    with away(front):
        reply = front.get("/api/v1/system")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert front.get("/console/" + "x" * 5000).json()["code"] == "uri_too_long"


def test_nginx_can_quote_the_page() -> None:
    page = unavailable_page()
    assert "'" not in page
    assert page.count("$") == page.count("$holdfast_") == 2
