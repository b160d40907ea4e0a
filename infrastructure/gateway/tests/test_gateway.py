"""The gateway, a real nginx, in front of upstreams that say what they were sent."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from infrastructure.gateway.render import Limits
from infrastructure.gateway.routes import SERVICES
from infrastructure.local import gateway as local_gateway
from infrastructure.local.fetch import ensure_servers
from infrastructure.local.home import Home, open_home
from infrastructure.local.ports import free_port_base

pytestmark = pytest.mark.integration


class Upstream(ThreadingHTTPServer):
    """Echoes every request and counts; can be unready, slow, or close the connection."""

    daemon_threads = True

    def __init__(self, name: str, port: int) -> None:
        self.name, self.ready, self.cut, self.seen, self.delay_seconds = name, True, False, 0, 0.0
        self.cut_once = False
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.cut = True  # also on the connections that are kept alive
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.seen += 1
        time.sleep(self.server.delay_seconds)
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

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@dataclass
class Front:
    """A running gateway."""

    home: Home
    upstreams: dict[str, Upstream] = field(default_factory=dict)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.request(options.pop("method", "GET"), f"{self.url}{path}", timeout=15, **options)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.home.port('gateway')}"

    def raw(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Send bytes that no client library would; answer the status and the problem document."""
        with socket.create_connection(("127.0.0.1", self.home.port("gateway")), timeout=10) as connection:
            connection.sendall(request)
            reply = b""
            with suppress(TimeoutError):
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
    deadline = time.monotonic() + 10
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


@pytest.mark.parametrize(
    ("path", "service", "forwarded"),
    [
        ("/api/v1/users", "users", None),
        ("/api/v1/users/me", "users", None),
        ("/api/v1/tokens", "users", None),
        ("/api/v1/api-keys/1", "users", None),
        ("/.well-known/jwks.json", "users", None),
        ("/api/v1/products?limit=1&x=%20%2F", "inventory", None),
        ("/api/v1/orders", "orders", None),
        ("/api/v1/orders/1/cancel", "orders", None),
        ("/api/v1/orders/1/timeline?limit=3", "archive", None),
        ("/api/v1/orders/1/timeline/2", "orders", None),
        ("/api/v1/orders/1/events", "live", None),
        ("/api/v1/orders/events", "live", None),
        ("/api/v1/orders/1/events/2", "orders", None),
        ("/api/v1/events?subject=a", "archive", None),
        ("/api/v1/payments/1", "payments", None),
        ("/", "operations", None),
        ("/?done=x", "operations", None),
        ("/console/orders?status=pending", "operations", None),
        ("/orders/openapi.json", "orders", "/openapi.json"),
        ("/payments/docs", "payments", "/docs"),
        ("/archive/docs/swagger-ui.css", "archive", "/docs/swagger-ui.css"),
    ],
)
def test_each_path_reaches_its_service_as_it_was_sent(
    front: Front, path: str, service: str, forwarded: str | None
) -> None:
    seen = front.get(path).json()
    assert (seen["name"], seen["path"]) == (service, forwarded or path)


@pytest.mark.parametrize("path", ["/metrics", "/nothing", "/orders/metrics", "/api/v2/orders", "/.problem/not-found"])
def test_nothing_else_is_forwarded(front: Front, path: str) -> None:
    before = sum(upstream.seen for upstream in front.upstreams.values())
    reply = front.get(path)
    assert (reply.status_code, problem(reply)["code"]) == (404, "not_found")
    assert sum(upstream.seen for upstream in front.upstreams.values()) == before


def test_a_plain_request_id_is_kept_and_another_is_replaced(front: Front) -> None:
    assert front.get("/api/v1/orders", headers={"Request-Id": "Abc_1.2-3"}).headers["Request-Id"] == "Abc_1.2-3"
    for odd in ("a" * 129, "a b", 'a"b', "ä".encode(), ""):
        reply = front.get("/api/v1/orders", headers={"Request-Id": odd})
        assert len(reply.headers["Request-Id"]) == 32
        assert reply.json()["headers"]["Request-Id"] == reply.headers["Request-Id"]
    assert front.get("/nothing", headers={"Request-Id": "mine"}).json()["request_id"] == "mine"


def test_the_caller_cannot_choose_the_address_it_comes_from(front: Front) -> None:
    seen = front.get("/api/v1/orders", headers={"X-Forwarded-For": "6.6.6.6"}).json()
    assert seen["headers"]["X-Forwarded-For"] == "127.0.0.1"


def test_a_service_learns_that_the_client_came_by_tls_to_a_proxy_in_front(front: Front) -> None:
    for sent, seen in (("https", "https"), ("http", "http"), ("nonsense", "http"), (None, "http")):
        headers = {"X-Forwarded-Proto": sent} if sent else {}
        assert front.get("/", headers=headers).json()["headers"]["X-Forwarded-Proto"] == seen


def test_a_body_too_large_is_refused_before_a_service_sees_it(front: Front) -> None:
    before = front.upstreams["orders"].seen
    reply = front.get("/api/v1/orders", method="POST", data=b"x" * (1024 * 1024 + 1))
    assert (reply.status_code, problem(reply)["code"]) == (413, "body_too_large")
    chunked = front.raw(
        b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
         b"FFFFF\r\n" + b"x" * 0xFFFFF + b"\r\nFF\r\n" + b"x" * 0xFF + b"\r\n0\r\n\r\n"
    )  # fmt: skip
    assert chunked[0] == 413
    assert front.upstreams["orders"].seen == before
    assert front.get("/api/v1/orders", method="POST", data=b"x" * 1024 * 1024).json()["length"] == 1024 * 1024


def test_addresses_and_headers_have_bounds(front: Front) -> None:
    assert problem(front.get("/api/v1/orders?" + "a" * 4000))["code"] == "uri_too_long"
    assert problem(front.get("/api/v1/orders?" + "a" * 30_000))["code"] == "uri_too_long"
    assert front.get("/api/v1/orders?" + "a" * 3900).status_code == 200
    too_long = front.get("/api/v1/orders", headers={"Idempotency-Key": "k" * 20_000})
    assert (too_long.status_code, problem(too_long)["code"]) == (431, "header_too_large")
    assert front.get("/api/v1/orders", headers={"Idempotency-Key": "k" * 10_000}).status_code == 200


@pytest.mark.parametrize(
    "request_line",
    [
        b"GARBAGE",
        b"GET /x HTTP/1.1",
        b"GET /x HTTP/3.0\r\nHost: x",
        b"GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close",
        b"GET /a%00b HTTP/1.1\r\nHost: x\r\nConnection: close",
        b"GET /../x HTTP/1.1\r\nHost: x\r\nConnection: close",
        b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: gzip",
        b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: -1",
    ],
)
def test_what_is_no_http_is_a_problem_document(front: Front, request_line: bytes) -> None:
    status, document = front.raw(request_line + b"\r\n\r\n")
    assert (status, document["code"], document["status"]) == (400, "malformed_request", 400)


def test_odd_characters_do_not_break_the_problem_document(front: Front) -> None:
    status, document = front.raw(b'GET /no"such\\thing\x01 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert status in {400, 404}
    assert document["status"] == status


def test_own_pages_take_get_only(front: Front) -> None:
    reply = front.get("/docs", method="POST")
    assert (reply.status_code, problem(reply)["code"]) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD"


def test_a_service_that_is_down_is_503_with_retry_after(front: Front) -> None:
    orders = front.upstreams["orders"]
    orders.stop()
    try:
        reply = front.get("/api/v1/orders", method="POST", json={})
        assert (reply.status_code, problem(reply)["code"]) == (503, "service_unavailable")
        assert reply.headers["Retry-After"] == "1"
        assert front.get("/api/v1/products").status_code == 200
    finally:
        front.upstreams["orders"] = Upstream("orders", front.home.port("service-orders"))
    assert front.get("/api/v1/orders").status_code == 200


def test_a_post_whose_answer_was_lost_is_not_sent_again(front: Front) -> None:
    payments = front.upstreams["payments"]
    front.get("/api/v1/payments")
    payments.seen, payments.cut = 0, True
    reply = front.get("/api/v1/payments", method="POST", json={})
    payments.cut = False
    assert reply.status_code == 503
    assert payments.seen == 1


def test_ready_only_when_every_service_is(front: Front) -> None:
    assert front.get("/readyz").status_code == 200
    for upstream in front.upstreams.values():
        upstream.ready = False
        reply = front.get("/readyz")
        assert reply.status_code == 503, upstream.name
        upstream.ready = True
    front.upstreams["inventory"].ready = False
    assert problem(front.get("/readyz"))["detail"] == "not ready: inventory"
    front.upstreams["inventory"].ready = True
    assert front.get("/readyz").status_code == 200
    assert front.get("/livez").json() == {"status": "ok"}


def test_the_page_leads_to_every_service(front: Front) -> None:
    page = front.get("/docs")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Request-Id"]
    for name in SERVICES:
        assert f'href="/{name}/docs"' in page.text
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def test_the_events_are_served_as_a_document_and_as_a_page(front: Front) -> None:
    document = front.get("/asyncapi.json")
    assert document.headers["Content-Type"] == "application/json"
    messages = document.json()["components"]["messages"]
    assert document.json()["asyncapi"].startswith("3.")
    page = front.get("/docs/events")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    for name, message in messages.items():
        assert f'id="{name}"' in page.text
        assert message["examples"][0]["payload"]["id"] in page.text
    assert "<td><code>items[].unit_price.amount</code></td>" in page.text


def test_each_request_is_one_json_line(front: Front) -> None:
    front.get("/api/v1/orders", headers={"Request-Id": "find-me"})

    def logged() -> None:
        lines = [json.loads(line) for line in front.home.log("gateway").read_text().splitlines()]
        found = [
            (line["status"], line["path"], line["caller"]) for line in lines if line["correlation_id"] == "find-me"
        ]
        assert found == [(200, "/api/v1/orders", "127.0.0.1")]

    eventually(logged)


def test_a_home_with_spaces_works(tmp_path: Path) -> None:
    home = open_home(tmp_path / "a b", free_port_base(tmp_path))
    with start(home) as process:
        eventually(lambda: requests.get(f"http://127.0.0.1:{home.port('gateway')}/livez", timeout=5))
        process.terminate()
