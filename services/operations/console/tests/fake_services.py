"""HTTP servers that replace the other contexts: they return configured responses and record requests."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Sent:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeService(ThreadingHTTPServer):
    """`answers` has (status, JSON) for "METHOD /path"; any other path hangs until the test ends."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.sent: list[Sent] = []
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def asked(self) -> list[Sent]:
        """The received requests without the console's background reads, which arrive at any moment."""
        return [sent for sent in self.sent if sent.path.startswith("/api/")]

    def last(self, request: str) -> Sent:
        """The last received "METHOD /path"."""
        return next(sent for sent in reversed(self.sent) if f"{sent.method} {sent.path}" == request)

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/metrics"


class _Handler(BaseHTTPRequestHandler):
    server: FakeService

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0]
        self.server.sent.append(Sent(self.command, self.path, dict(self.headers), body))
        answer = self.server.answers.get(f"{self.command} {path}")
        if answer is None:
            self.server.over.wait(60)
            return
        text = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_PATCH = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""


@dataclass
class Fakes:
    """A fake for each context that a test names."""

    services: dict[str, FakeService] = field(default_factory=dict)

    def __getitem__(self, context: str) -> FakeService:
        return self.services[context]

    @property
    def metrics_urls(self) -> dict[str, str]:
        return {f"service-{name}": service.metrics_url for name, service in self.services.items()}


@contextmanager
def fakes(*contexts: str) -> Iterator[Fakes]:
    running = Fakes({name: FakeService() for name in contexts})
    yield running
    for service in running.services.values():
        service.over.set()
        service.shutdown()
        service.server_close()
