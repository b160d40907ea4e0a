"""The gateway, a real nginx, in front of upstreams that echo their requests."""

import json
from pathlib import Path

import pytest
import requests

from infrastructure.gateway.routes import SERVICES
from infrastructure.gateway.tests.upstreams import Front, Upstream, eventually, front, problem, start
from infrastructure.local.home import open_home
from infrastructure.local.ports import free_port_base

__all__ = ["front"]  # the fixture
pytestmark = pytest.mark.integration


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
def test_each_path_is_forwarded_unchanged_to_its_service(
    front: Front, path: str, service: str, forwarded: str | None
) -> None:
    seen = front.get(path).json()
    assert (seen["name"], seen["path"]) == (service, forwarded or path)


@pytest.mark.parametrize("path", ["/metrics", "/nothing", "/orders/metrics", "/api/v2/orders", "/.problem/not-found"])
def test_other_paths_are_not_forwarded(front: Front, path: str) -> None:
    before = sum(upstream.seen for upstream in front.upstreams.values())
    reply = front.get(path)
    assert (reply.status_code, problem(reply)["code"]) == (404, "not_found")
    assert sum(upstream.seen for upstream in front.upstreams.values()) == before


def test_a_valid_request_id_is_kept_and_an_invalid_one_replaced(front: Front) -> None:
    assert front.get("/api/v1/orders", headers={"Request-Id": "Abc_1.2-3"}).headers["Request-Id"] == "Abc_1.2-3"
    for invalid in ("a" * 129, "a b", 'a"b', "ä".encode(), ""):
        reply = front.get("/api/v1/orders", headers={"Request-Id": invalid})
        assert len(reply.headers["Request-Id"]) == 32
        assert reply.json()["headers"]["Request-Id"] == reply.headers["Request-Id"]
    assert front.get("/nothing", headers={"Request-Id": "mine"}).json()["request_id"] == "mine"


def test_a_client_cannot_forge_its_address(front: Front) -> None:
    seen = front.get("/api/v1/orders", headers={"X-Forwarded-For": "6.6.6.6"}).json()
    assert seen["headers"]["X-Forwarded-For"] == "127.0.0.1"


def test_a_trusted_proxys_forwarded_proto_reaches_the_service(front: Front) -> None:
    for sent, seen in (("https", "https"), ("http", "http"), ("nonsense", "http"), (None, "http")):
        headers = {"X-Forwarded-Proto": sent} if sent else {}
        assert front.get("/", headers=headers).json()["headers"]["X-Forwarded-Proto"] == seen


def test_a_too_large_body_is_rejected_by_the_gateway(front: Front) -> None:
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


def test_the_sizes_of_urls_and_headers_are_bounded(front: Front) -> None:
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
def test_malformed_http_gets_a_problem_document(front: Front, request_line: bytes) -> None:
    status, document = front.raw(request_line + b"\r\n\r\n")
    assert (status, document["code"], document["status"]) == (400, "malformed_request", 400)


def test_special_characters_do_not_break_the_problem_document(front: Front) -> None:
    status, document = front.raw(b'GET /no"such\\thing\x01 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert status in {400, 404}
    assert document["status"] == status


def test_the_gateways_own_pages_accept_only_get(front: Front) -> None:
    reply = front.get("/docs", method="POST")
    assert (reply.status_code, problem(reply)["code"]) == (405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD"


def test_an_unavailable_service_is_503_with_retry_after(front: Front) -> None:
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


def test_a_post_with_a_lost_response_is_not_retried(front: Front) -> None:
    payments = front.upstreams["payments"]
    front.get("/api/v1/payments")
    payments.seen, payments.cut = 0, True
    reply = front.get("/api/v1/payments", method="POST", json={})
    payments.cut = False
    assert reply.status_code == 503
    assert payments.seen == 1


def test_the_gateway_is_ready_when_every_service_is(front: Front) -> None:
    # In `eventually`, because a service that is silent for three seconds is not ready either.
    def is_ready() -> None:
        assert front.get("/readyz").status_code == 200

    def is_not_ready() -> None:
        assert problem(front.get("/readyz"))["detail"] == "not ready: inventory"

    eventually(is_ready)
    for upstream in front.upstreams.values():
        upstream.ready = False
        reply = front.get("/readyz")
        assert reply.status_code == 503, upstream.name
        upstream.ready = True
    front.upstreams["inventory"].ready = False
    eventually(is_not_ready)
    front.upstreams["inventory"].ready = True
    eventually(is_ready)
    assert front.get("/livez").json() == {"status": "ok"}


def test_the_page_links_to_every_service(front: Front) -> None:
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


def test_events_are_served_as_a_document_and_as_a_page(front: Front) -> None:
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


def test_each_request_is_logged_as_one_json_line(front: Front) -> None:
    front.get("/api/v1/orders", headers={"Request-Id": "find-me"})

    def logged() -> None:
        lines = [json.loads(line) for line in front.home.log("gateway").read_text().splitlines()]
        found = [
            (line["status"], line["path"], line["caller"]) for line in lines if line["correlation_id"] == "find-me"
        ]
        assert found == [(200, "/api/v1/orders", "127.0.0.1")]

    eventually(logged)


def test_a_home_with_spaces_is_supported(tmp_path: Path) -> None:
    home = open_home(tmp_path / "a b", free_port_base(tmp_path))
    with start(home) as process:
        eventually(lambda: requests.get(f"http://127.0.0.1:{home.port('gateway')}/livez", timeout=60))
        process.terminate()
