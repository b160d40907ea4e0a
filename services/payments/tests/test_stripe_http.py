"""Connections to the provider: they are kept alive, a proxy is used, and each request is sent once."""

from __future__ import annotations

import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Unavailable, classify
from infrastructure.sandbox.tests.process import KEY
from services.payments.provider import ProviderSettings, make_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.payments.provider import Provider

THREADS = 4
CALLS = 5
ERROR = b'{"error": {"type": "api_error", "message": "no"}}'


class Counting(ThreadingHTTPServer):
    """A provider that counts requests and responds with `answer`."""

    daemon_threads = True

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self._lock = threading.Lock()
        self.connections = self.requests = 0
        super().__init__(("127.0.0.1", 0), _handler(self, answer))

    def count(self, *, connections: int = 0, requests: int = 0) -> None:
        with self._lock:
            self.connections += connections
            self.requests += requests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


def _handler(counted: Counting, answer: Callable[[BaseHTTPRequestHandler], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            counted.count(connections=1)
            super().setup()

        def do_GET(self) -> None:
            counted.count(requests=1)
            answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def reply(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def empty_list(request: BaseHTTPRequestHandler) -> None:
    reply(request, 200, b'{"object": "list", "data": [], "has_more": false, "url": "/v1/payment_intents"}')


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[Counting, Provider]]:
    with Counting(answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server, provider_at(server.url)
        server.shutdown()


def provider_at(url: str) -> Provider:
    return make_provider(
        ProviderSettings(
            stripe_api_key=KEY, stripe_api_base=url, stripe_timeout_seconds=60, circuit_breaker_max_failures=1000
        )
    )


def test_threads_reuse_their_connections() -> None:
    with serving(empty_list) as (server, provider):
        begun = threading.Barrier(THREADS)

        def call(_: int) -> None:
            begun.wait(60)  # so that every thread of the pool takes part
            for _ in range(CALLS):
                provider.probe()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(call, range(THREADS)))
        assert server.connections <= THREADS
        assert server.requests == THREADS * CALLS


def test_a_retryable_error_is_not_retried_by_the_client() -> None:
    """Stripe's client would retry these itself, in addition to Holdfast's own retries."""
    for status in (409, 429, 500, 503):
        with serving(partial(reply, status=status, body=ERROR)) as (server, provider):
            with pytest.raises(Exception):  # noqa: B017, PT011 - which one is a matter of other tests
                provider.probe()
            assert server.requests == 1


def test_a_broken_connection_is_not_retried_by_the_client() -> None:
    with serving(hang_up) as (server, provider):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - how it is classified is checked below
            provider.probe()
        assert classify(raised.value) is Unavailable
        assert server.requests == 1


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    logins: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        logins.append(request.headers["Proxy-Authorization"])
        empty_list(request)

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Counting(answer) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://shop:se%20cret@"))
        provider_at("http://stripe.invalid").probe()
        monkeypatch.setenv("no_proxy", "stripe.invalid")
        with pytest.raises(Exception) as raised:  # noqa: PT011 - how it is classified is checked below
            provider_at("http://stripe.invalid").probe()
        proxy.shutdown()
    assert classify(raised.value) is Unavailable
    assert logins == ["Basic " + b64encode(b"shop:se cret").decode()]


def test_a_redirect_is_not_followed() -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(307)
        request.send_header("Location", "/v1/payment_intents")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with serving(redirect) as (server, provider):
        with pytest.raises(Exception) as raised:  # noqa: PT011 - how it is classified is checked below
            provider.probe()
        assert classify(raised.value) is Unavailable
        assert server.requests == 1
