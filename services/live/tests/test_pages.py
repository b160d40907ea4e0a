"""The standard pages of a real process: health, metrics, OpenAPI 3.1 and an offline page.

`pages.py`, `problems.py`, `middleware.py`, `responses.py`, `documentation.py`, `metrics.py`.
"""

from __future__ import annotations

import jsonschema_rs
import pytest
import requests

from services.live.tests.conftest import SECONDS, OneOrder

pytestmark = pytest.mark.integration


def test_it_serves_the_standard_pages(one_order: OneOrder) -> None:
    def get(path: str) -> requests.Response:
        return requests.get(one_order.live.url + path, timeout=SECONDS)

    assert get("/livez").json() == {"status": "ok"}
    assert get("/readyz").json() == {"status": "ok", "checks": ["mongodb"]}
    assert "holdfast_live_archive_up 1.0" in get("/metrics").text
    page = get("/docs")
    assert "docs/swagger-ui-bundle.js" in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert get("/docs/swagger-ui-bundle.js").headers["Content-Type"].startswith("text/javascript")
    assert "openapi.json" in get("/docs/start.js").text
    for path in ("/docs/../main.py", "/docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/docs/nothing"):
        assert get(path).status_code == 404
    assert get("/livez").headers["X-Content-Type-Options"] == "nosniff"


def test_it_describes_its_routes_in_openapi(one_order: OneOrder) -> None:
    document = requests.get(f"{one_order.live.url}/openapi.json", timeout=SECONDS).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {"/api/v1/orders/events", "/api/v1/orders/{order_id}/events"}
    for path in document["paths"].values():
        responses = path["get"]["responses"]
        assert set(responses) == {"200", "400", "401", "404", "429", "503", "default"}
        assert set(responses["200"]["content"]) == {"text/event-stream"}
        assert path["get"]["parameters"][-1]["name"] == "Last-Event-ID"
    jsonschema_rs.meta.validate(document["components"]["schemas"]["Problem"])
