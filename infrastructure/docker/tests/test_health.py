"""The health check on real sockets."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infrastructure.docker import health
from infrastructure.docker.health import is_healthy


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, int]], str]]:
    """Serve paths with statuses; returns the port."""
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 60.0)
    servers: list[HTTPServer] = []

    def serve(statuses: dict[str, int]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(statuses.get(self.path, 404))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return str(server.server_port)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("variable", "statuses", "well"),
    [
        ("SERVICE_PORT", {"/readyz": 200, "/livez": 200}, True),
        ("SERVICE_PORT", {"/readyz": 503, "/livez": 200}, False),
        ("SERVICE_PORT", {"/livez": 200}, True),
        ("SERVICE_PORT", {"/healthcheck": 200}, True),
        ("SERVICE_PORT", {}, False),
        ("METRICS_PORT", {"/metrics": 200}, True),
        ("METRICS_PORT", {"/metrics": 500}, False),
    ],
)
def test_each_role_has_its_health_check(
    served: Callable[[dict[str, int]], str], variable: str, statuses: dict[str, int], well: bool
) -> None:
    assert is_healthy({variable: served(statuses)}) is well


def test_an_unreachable_process_is_unhealthy_and_a_job_is_healthy() -> None:
    assert not is_healthy({"SERVICE_PORT": "1"})
    assert is_healthy({"RABBITMQ_URL": "amqp://x"})
