"""Requests to the live service are spans, as in the other services; a stream's span ends with its first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from common.messaging.events import new_id
from common.tests.otlp_receiver import Collector
from common.tests.sample_service import bearer
from services.live.tests.conftest import SECONDS, Live, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OPERATOR = bearer(role="operator")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def test_a_stream_records_its_span_while_it_is_open(start: Callable[..., Live], collector: Collector) -> None:
    live = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    headers = OPERATOR | {"traceparent": PARENT, "Request-Id": "r-1"}
    with reading(live, "/api/v1/orders/events", headers):
        (span,) = collector.wait_for("GET /api/v1/orders/events", seconds=SECONDS)
    assert (span.kind, span.service, span.failed) == ("server", "live", False)
    assert f"00-{span.trace_id}-{span.parent_id}-01" == PARENT
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/v1/orders/events",
        "url.path": "/api/v1/orders/events",
        "http.response.status_code": 200,
        "holdfast.correlation_id": "r-1",
    }


def test_rejected_requests_have_spans_and_health_checks_have_none(
    start: Callable[..., Live], collector: Collector
) -> None:
    live = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    rejected = f"/api/v1/orders/{new_id()}/events"
    for path, status in (("/wp-admin", 404), (rejected, 401), ("/livez", 200)):
        assert requests.get(live.url + path, timeout=SECONDS).status_code == status
    collector.wait_until(lambda: any(span.attributes["url.path"] == rejected for span in collector.spans), SECONDS)
    collector.wait_for("GET", "GET /api/v1/orders/{order_id}/events", seconds=SECONDS)
    assert live.stop() == 0  # flush the remaining spans
    statuses = {span.attributes["url.path"]: span.attributes["http.response.status_code"] for span in collector.spans}
    assert set(statuses.values()) == {404, 401}
    assert not any(span.failed for span in collector.spans)
