"""A receiver of webhooks on this machine that answers as a test chooses, and verifies with the public library alone."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook, WebhookVerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    payload: Any = None

    def verified(self, secret: str) -> Any:
        """Its payload, if the signature is good; standardwebhooks' error otherwise."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Reply:
    """What the receiver answers, after how long; `raw` in place of all of it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay_seconds: float = 0.0
    chunks: int = 1


class Receiver:
    """`replies` maps a path to what is answered there, or to a function of the request; others get 200.

    Where `secrets` has the path, a request is verified when it comes: `payload` stays None if it cannot be.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Received] = []
        self.secrets: dict[str, str] = {}
        self.replies: dict[str, Reply | Callable[[Received], Reply]] = {}

    def at(self, path: str) -> list[Received]:
        return [each for each in list(self.requests) if each.path == path]

    def wait_for(self, count: int, path: str, seconds: float = 60.0) -> list[Received]:
        deadline = time.monotonic() + seconds
        while len(found := self.at(path)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} at {path}"
            time.sleep(0.02)
        return found

    def take(self, request: Received) -> None:
        if request.path in self.secrets:
            with suppress(WebhookVerificationError):
                request.payload = request.verified(self.secrets[request.path])
        self.requests.append(request)

    def reply_to(self, request: Received) -> Reply:
        found = self.replies.get(request.path, Reply())
        return found(request) if callable(found) else found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A sender that hangs up is what some tests are about."""


@contextmanager
def receiving(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Receive on a free port of `host`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            request = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.take(request)
            reply = receiver.reply_to(request)
            time.sleep(reply.delay_seconds)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body) * reply.chunks))
            self.end_headers()
            for _ in range(reply.chunks):
                self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = _Server((host, 0), Handler)
    receiver = Receiver(f"http://{host}:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
