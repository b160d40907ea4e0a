import threading
import time

import pytest
from prometheus_client import REGISTRY

from common.tests.sample_service import answer, make_app
from common.web import health


def test_alive_whatever_the_dependencies_do() -> None:
    def broken() -> None:
        raise ConnectionError

    assert make_app(ready_checks={"database": broken}).test_client().get("/livez").status_code == 200


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that has its turn late has not failed."""
    monkeypatch.setattr(health, "CHECK_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
def test_ready_when_every_check_passes() -> None:
    reply = make_app(ready_checks={"a": lambda: None, "b": lambda: None}).test_client().get("/readyz")
    assert (reply.status_code, reply.json) == (200, {"status": "ok", "checks": ["a", "b"]})


@pytest.mark.usefixtures("patient")
def test_not_ready_names_what_failed_and_recovers() -> None:
    state = {"down": True}

    def check() -> None:
        if state["down"]:
            raise ConnectionError("10.0.0.1 refused")

    client = make_app(ready_checks={"good": lambda: None, "bad": check}).test_client()
    reply = client.get("/readyz")
    problem = answer(reply)
    assert (reply.status_code, problem["code"], list(problem["errors"])) == (503, "not_ready", ["bad"])
    assert "10.0.0.1" not in reply.get_data(as_text=True)
    assert "Retry-After" in reply.headers
    state["down"] = False
    assert client.get("/readyz").status_code == 200


def test_a_check_that_hangs_is_bounded_and_does_not_pile_up() -> None:
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        release.wait(120)

    client = make_app(ready_checks={"frozen": hang}).test_client()
    started = time.monotonic()
    assert [client.get("/readyz").status_code for _ in range(2)] == [503, 503]
    assert time.monotonic() - started < 60
    assert len(calls) == 1
    release.set()


def test_metrics_count_by_template_not_by_address() -> None:
    client = make_app().test_client()
    for number in range(3):
        client.get(f"/unknown-{number}")
        client.get(f"/things/{number}")
    text = client.get("/metrics").get_data(as_text=True)
    assert 'http_requests_total{method="GET",route="/things/<name>",status="4xx"}' in text
    assert 'route="unmatched"' in text
    assert "unknown-" not in text
    assert "http_request_duration_seconds_bucket" in text


def test_what_fails_and_what_is_slow_is_counted_as_that() -> None:
    client = make_app().test_client()

    def shown(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"http_request{name}", labels | {"method": labels.get("method", "GET")}) or 0

    fails = {"route": "/things/fail/<how>", "method": "POST", "status": "5xx"}
    slow = {"route": "/things/slow", "status": "2xx"}
    failed, all_slow = shown("s_total", **fails), shown("_duration_seconds_bucket", le="+Inf", **slow)
    quick = shown("_duration_seconds_bucket", le="1.0", **slow)
    assert client.post("/things/fail/secretly").status_code == 500
    assert client.get("/things/slow").status_code == 200  # it takes a second
    assert shown("s_total", **fails) == failed + 1
    assert shown("_duration_seconds_bucket", le="+Inf", **slow) == all_slow + 1
    assert shown("_duration_seconds_bucket", le="1.0", **slow) == quick
