"""The gateway's own pages, and the paths that it does not expose."""

import re
from urllib.parse import urljoin

import pytest

from tests.e2e.api import answer, problem
from tests.e2e.shop import Shop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CONTEXTS = ("users", "inventory", "orders", "payments", "archive", "operations", "notifications")
# Addresses of scripts, styles and pictures: what a browser loads automatically with a page.
_FETCHED = re.compile(r"""<(?:script|link|img)\b[^>]*?\b(?:src|href)=["']([^"']+)["']""")


def test_the_docs_page_links_to_every_services_pages(shop: Shop) -> None:
    page = shop.anyone.get("/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    for context in CONTEXTS:
        assert f'href="/{context}/docs"' in page.text
    assert not [address for address in _FETCHED.findall(page.text) if "//" in address]


@pytest.mark.parametrize("context", CONTEXTS)
def test_each_service_serves_its_openapi_document(shop: Shop, context: str) -> None:
    document = answer(shop.anyone.get(f"/{context}/openapi.json"))
    assert document["openapi"].startswith("3.1")
    assert all(path.startswith(("/api/v1/", "/.well-known/", "/internal/v1/")) for path in document["paths"])


@pytest.mark.parametrize("context", CONTEXTS)
def test_each_services_page_works_offline(shop: Shop, context: str) -> None:
    page = shop.anyone.get(f"/{context}/docs")
    assert page.status_code == 200
    parts = _FETCHED.findall(page.text)
    assert parts
    for part in parts:
        assert "//" not in part, f"{part} is elsewhere"
        address = urljoin(f"/{context}/docs", part)
        assert shop.anyone.get(address).status_code == 200, address


def test_health_endpoints_are_served(shop: Shop) -> None:
    for path in ("/livez", "/readyz"):
        assert answer(shop.anyone.get(path))["status"] == "ok"


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/api/v1/metrics",
        "/.ready/users",
        "/.problem/not-found",
        "/faults",
        "/internal/v1/users/01928f6d-11aa-7c21-8d43-5b7e9f00c2d1/contact",
        "/api/v1/users/01928f6d-11aa-7c21-8d43-5b7e9f00c2d1/contact",
        "/api/v1/users/../../../internal/v1/users/01928f6d-11aa-7c21-8d43-5b7e9f00c2d1/contact",
        "/internal/v1/contacts",
        "/api/v1/contacts",
        "/v1/payment_intents",
        *(f"/{context}/{page}" for context in CONTEXTS for page in ("metrics", "livez", "docs/../metrics")),
    ],
)
def test_internal_paths_are_not_exposed(shop: Shop, path: str) -> None:
    assert problem(shop.anyone.get(path)) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_an_unsupported_method_is_405(shop: Shop, method: str) -> None:
    assert problem(shop.operator.send(method, "/api/v1/orders")) == (405, "method_not_allowed")


def test_a_valid_request_id_is_kept_and_an_invalid_one_replaced(shop: Shop) -> None:
    for path in ("/livez", "/api/v1/products", "/nowhere"):
        assert shop.operator.send("GET", path, headers={"Request-Id": "my-id.1"}).headers["Request-Id"] == "my-id.1"
        strange = shop.operator.send("GET", path, headers={"Request-Id": "a b\t<c>"}).headers["Request-Id"]
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", strange)
