"""A gateway in front of services that report what reaches them."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from infrastructure.gateway.render import Limits
from infrastructure.gateway.routes import SERVICES
from infrastructure.local import gateway as local_gateway
from infrastructure.local.fetch import ensure_servers
from infrastructure.local.home import Home, open_home
from infrastructure.local.ports import free_port_base


class Upstream(ThreadingHTTPServer):
    """Echoes every request and counts; can be unready, hold back its answers, or close the connection."""

    daemon_threads = True

    def __init__(self, name: str, port: int) -> None:
        self.name, self.ready, self.cut, self.seen = name, True, False, 0
        self.cut_once = False
        self.may_answer = threading.Event()
        self.may_answer.set()
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.cut = True  # also on kept-alive connections
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.seen += 1
        self.server.may_answer.wait(60)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.cut or self.server.cut_once:
            self.server.cut_once = False
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status = 503 if self.path == "/readyz" and not self.server.ready else 200
        text = json.dumps(
            {"name": self.server.name, "path": self.path, "headers": dict(self.headers), "length": len(body)}
        ).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Request-Id", self.headers["Request-Id"])
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""


@dataclass
class Front:
    """A running gateway."""

    home: Home
    upstreams: dict[str, Upstream] = field(default_factory=dict)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.request(options.pop("method", "GET"), f"{self.url}{path}", timeout=60, **options)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.home.port('gateway')}"

    def raw(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Send bytes that no client library would send; returns the status and the problem document."""
        with socket.create_connection(("127.0.0.1", self.home.port("gateway")), timeout=60) as connection:
            connection.sendall(request)
            reply = b""
            with suppress(TimeoutError, ConnectionResetError):
                while chunk := connection.recv(65536):
                    reply += chunk
        head, _, body = reply.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


def start(home: Home, limits: Limits | None = None) -> subprocess.Popen[bytes]:
    spec = local_gateway.specs(home, ensure_servers(print)["gateway"], limits)[0]
    check = subprocess.run([*spec.words[:-2], "-t"], env=spec.environment, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
    with home.log("gateway").open("wb") as log:
        return subprocess.Popen(spec.words, env=spec.environment, stdout=log)


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            check()
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    place = tmp_path_factory.mktemp("gateway")
    running = Front(open_home(place / "home", free_port_base(place)))
    for name in SERVICES:
        running.upstreams[name] = Upstream(name, running.home.port(f"service-{name}"))
    with start(running.home) as process:
        eventually(lambda: running.get("/livez"))
        yield running
        process.terminate()
    for upstream in running.upstreams.values():
        upstream.stop()


def problem(reply: requests.Response) -> dict[str, Any]:
    assert reply.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = reply.json()
    assert document["status"] == reply.status_code
    assert document["request_id"] == reply.headers["Request-Id"]
    return document
