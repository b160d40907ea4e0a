"""A provider at any URL, and one with a fixed response."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Unavailable, classify
from infrastructure.sandbox.tests.process import KEY
from services.payments.provider import Provider, ProviderSettings, make_provider
from services.payments.tests.builders import deliver

if TYPE_CHECKING:
    from services.payments.resources import Resources

BOUND_SECONDS = 0.3


def out_of_order(resources: Resources, fact: str, incoming: Any) -> None:
    """Check that the failing provider raises an outage in time."""
    began = time.monotonic()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - whatever it is, its class is what counts
        deliver(resources, fact, incoming.event.subject, incoming=incoming)
    assert classify(failure.value) is Unavailable, failure.value
    assert time.monotonic() - began < 70  # the client's own time-out is 80 s


def provider_at(url: str, *, key: str = KEY, max_failures: int = 1000, seconds: float = 60) -> Provider:
    settings = ProviderSettings(
        stripe_api_key=key,
        stripe_api_base=url,
        stripe_timeout_seconds=seconds,
        circuit_breaker_max_failures=max_failures,
    )
    return make_provider(settings)


class answering:  # noqa: N801 - a context manager
    """A server that returns the same response to every request."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 - the standard library's names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
