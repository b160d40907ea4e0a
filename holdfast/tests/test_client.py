"""The commands' client at a busy server: safe requests are retried, unsafe ones are not."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from holdfast import client
from holdfast.client import ApiError, Client
from holdfast.demo.shop import PRICES, fill

if TYPE_CHECKING:
    from collections.abc import Iterator


class Busy(HTTPServer):
    """Rejects the next `refusals` requests with `status`; records all requests."""

    refusals, status = 0, 503
    requests: list[str]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Busy)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.requests.append(f"{self.command} {self.path}")
        refused = len(server.requests) <= server.refusals
        self.send_response(server.status if refused else 200)
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(json.dumps({"code": "overloaded"} if refused else {"access_token": "t"}).encode())

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[Busy]:
    with Busy(("127.0.0.1", 0), _Handler) as running:
        running.requests = []
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join(timeout=60)


@pytest.fixture
def shop(server: Busy) -> Client:
    return Client(f"http://127.0.0.1:{server.server_port}", patient=True)


@pytest.mark.parametrize("status", [429, 503])
def test_a_read_is_retried(server: Busy, shop: Client, status: int) -> None:
    server.status, server.refusals = status, client.TRIES - 1
    assert shop.get("/orders") == {"access_token": "t"}
    assert server.requests == ["GET /orders"] * client.TRIES


def test_a_token_request_is_retried(server: Busy, shop: Client) -> None:
    server.refusals = 1
    assert shop.token({}) == "t"


def test_retries_are_bounded(server: Busy, shop: Client) -> None:
    server.refusals = 100
    with pytest.raises(ApiError, match="503 overloaded"):
        shop.get("/orders")
    assert len(server.requests) == client.TRIES


def test_the_client_waits_for_a_starting_system(server: Busy, shop: Client) -> None:
    server.refusals = client.TRIES + 3
    shop.waiting(60).post("/orders", {}, key="k")
    assert server.requests == ["POST /orders"] * (client.TRIES + 4)


def test_the_wait_for_a_starting_system_is_bounded(server: Busy, shop: Client) -> None:
    server.refusals = 10**9
    with pytest.raises(ApiError, match="503 overloaded"):
        shop.waiting(0.2).get("/orders")
    assert len(server.requests) >= client.TRIES


def test_a_request_without_a_key_is_sent_once(server: Busy, shop: Client) -> None:
    server.refusals = 1
    with pytest.raises(ApiError, match="503 overloaded"):
        shop.waiting(60).post("/orders", {})
    assert server.requests == ["POST /orders"]


def test_the_demo_waits_for_a_starting_system(server: Busy, shop: Client) -> None:
    server.refusals = client.TRIES + 3
    fill(shop.waiting(60))
    assert len(server.requests) == server.refusals + len(PRICES)


def test_an_impatient_client_gets_the_error_at_once(server: Busy) -> None:
    server.refusals = 1
    with pytest.raises(ApiError):
        Client(f"http://127.0.0.1:{server.server_port}").get("/orders")
    assert len(server.requests) == 1


def test_an_order_is_sent_once(server: Busy, shop: Client) -> None:
    server.refusals = 1
    with pytest.raises(ApiError):
        shop.post("/orders", {})
    assert server.requests == ["POST /orders"]


def test_a_permanent_rejection_is_not_retried(server: Busy, shop: Client) -> None:
    server.status, server.refusals = 404, 1
    with pytest.raises(ApiError):
        shop.get("/orders")
    assert len(server.requests) == 1
