from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from common.observability import tracing
from common.tests.otlp_receiver import recording
from common.tests.sample_service import bearer, make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from common.tests.otlp_receiver import Collector

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with recording("things") as running:
        yield running


@pytest.fixture
def client() -> FlaskClient:
    return make_app().test_client()


def test_a_request_is_a_span_named_by_its_route_and_the_parent_of_what_it_causes(
    collector: Collector, client: FlaskClient
) -> None:
    reply = client.get("/things/7", headers=bearer() | {"traceparent": PARENT, "Request-Id": "r-1"})
    tracing.shutdown()
    (span,) = collector.wait_for("GET /things/<name>")
    assert (span.kind, span.service, span.failed) == ("server", "things", False)
    assert f"00-{span.trace_id}-{span.parent_id}-01" == PARENT
    assert reply.get_json()["traceparent"] == span.traceparent
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/things/<name>",
        "url.path": "/things/7",
        "http.response.status_code": 200,
        "holdfast.correlation_id": "r-1",
    }


def test_requests_that_match_nothing_share_a_name_and_only_ours_are_failures(
    collector: Collector, client: FlaskClient
) -> None:
    client.get("/wp-admin/1")
    client.open("/wp-admin/2", method="BREW")
    client.post("/things/fail/domain")
    client.post("/things/fail/secretly")
    client.post("/things/fail/outage")
    tracing.shutdown()
    collector.wait_until(lambda: len(collector.spans) == 5)
    seen = [(span.name, span.attributes["http.response.status_code"], span.failed) for span in collector.spans]
    route = "POST /things/fail/<how>"
    assert seen == [
        ("GET", 404, False),
        ("OTHER", 404, False),
        (route, 409, False),
        (route, 500, True),
        (route, 503, True),
    ]
    assert "hunter2" not in repr(collector.spans)


def test_a_request_does_not_leak_into_the_next_one(collector: Collector, client: FlaskClient) -> None:
    for name in ("a", "b"):
        client.get(f"/things/{name}", headers=bearer())
    with tracing.child("afterwards", "internal", {}):
        pass
    tracing.shutdown()
    collector.wait_until(lambda: len(collector.spans) == 2)
    assert len({span.trace_id for span in collector.spans}) == 2


def test_health_checks_are_no_traces(collector: Collector, client: FlaskClient) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    client.get("/things/a", headers=bearer())
    tracing.shutdown()
    collector.wait_for("GET /things/<name>")
    assert len(collector.spans) == 1


@pytest.mark.parametrize("given", [PARENT, None])
def test_log_lines_carry_the_trace_even_without_a_collector(
    client: FlaskClient, given: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    from common.observability import logs  # noqa: PLC0415 - the app of the fixture logs warnings only

    logs.configure_logging("things")
    reply = client.get("/things/7", headers=bearer() | ({"traceparent": given} if given else {}))
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert reply.get_json()["traceparent"] == given or given is None
    assert f"00-{line['trace_id']}-{line['span_id']}-01" == reply.get_json()["traceparent"]
