"""The pages of webhooks: endpoints, deliveries, and each button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id, rfc3339, utc_now
from services.operations.console.tests.conftest import csrf_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from services.operations.console.tests.fake_services import Fakes

pytestmark = pytest.mark.integration
XSS = '<img src=x onerror="alert(1)">'
ENDPOINT_ID, DELIVERY_ID = new_id(), new_id()
PLACE, API = f"/console/webhooks/{ENDPOINT_ID}", f"/api/v1/webhook-endpoints/{ENDPOINT_ID}"
MOMENT = "2026-01-01T00:00:00Z"


def endpoint(**changes: Any) -> dict[str, Any]:
    moments = ("disabled_at", "failing_since", "last_attempt_at", "last_success_at", "paused_until")
    return {
        **dict.fromkeys(moments, None),
        "id": ENDPOINT_ID,
        "owner_id": new_id(),
        "scope": "all",
        "url": "https://shop.example/hook",
        "description": XSS,
        "event_types": ["order.placed.v1"],
        "enabled": True,
        "disabled_reason": None,
        "consecutive_failures": 0,
        "previous_secrets_until": [],
    } | changes


def delivery(**changes: Any) -> dict[str, Any]:
    attempt = {"at": MOMENT, "status_code": 500, "error": "", "latency_seconds": 0.25, "answer": XSS}
    return {
        "id": DELIVERY_ID,
        "event_type": "order.placed.v1",
        "order_id": new_id(),
        "status": "failed",
        "reason": "attempts_exhausted",
        "attempts_total": 10,
        "next_attempt_at": None,
        "created_at": MOMENT,
        "history": [attempt],
    } | changes


@pytest.fixture(autouse=True)
def one_endpoint(others: Fakes) -> None:
    others["notifications"].answers |= {
        "GET /api/v1/webhook-endpoints": (200, {"data": [endpoint()], "has_more": True}),
        f"GET {API}": (200, endpoint()),
        f"GET {API}/deliveries": (200, {"data": [delivery()], "has_more": True}),
    }


def post(client: FlaskClient, path: str, **form: str) -> TestResponse:
    return client.post(path, data={"csrf": csrf_of(client.get("/console/nothing")), "key": new_id(), **form})


def test_endpoints_are_paginated_and_filtered_by_health(operator: FlaskClient, others: Fakes) -> None:
    page = operator.get("/console/webhooks?health=failing").text
    assert f'href="{PLACE}"' in page
    assert f"starting_after={ENDPOINT_ID}" in page
    assert XSS not in page
    assert "health=failing&limit=25" in others["notifications"].asked[-1].path


def test_an_empty_list_of_endpoints_differs_from_an_outage(operator: FlaskClient, others: Fakes) -> None:
    others["notifications"].answers["GET /api/v1/webhook-endpoints"] = (200, {"data": [], "has_more": False})
    assert "No endpoint yet." in operator.get("/console/webhooks").text
    assert "No endpoint fails." in operator.get("/console/webhooks?health=failing").text
    others["notifications"].answers["GET /api/v1/webhook-endpoints"] = (503, {"detail": "away"})
    page = operator.get("/console/webhooks").text
    assert "The notifications service does not answer" in page
    assert "No endpoint yet." not in page


def test_a_delivery_shows_status_latency_and_response_of_each_attempt(operator: FlaskClient, others: Fakes) -> None:
    page = operator.get(f"{PLACE}?status=failed").text
    for part in ("attempts exhausted", "answered 500", "after 250 ms", "10 attempts, the last 1", "Send again"):
        assert part in page
    assert XSS not in page
    assert f"status=failed&starting_after={DELIVERY_ID}" in page or f"starting_after={DELIVERY_ID}" in page
    assert any("deliveries?limit=25&status=failed" in sent.path for sent in others["notifications"].asked)


@pytest.mark.parametrize(
    ("changes", "there", "not_there"),
    [
        ({}, ["Resend all failed", "Send a test event", ">Disable<"], [">Enable<"]),
        (
            {"enabled": False, "disabled_reason": "gone"},
            [">Enable<", "answered 410"],
            ["Resend all failed", "Send a test event", "Send again"],
        ),
        ({"paused_until": MOMENT, "consecutive_failures": 7}, ["breaker is open", "7 failures in a row"], [">Enable<"]),
    ],
)
def test_only_possible_actions_are_offered(
    operator: FlaskClient, others: Fakes, changes: dict[str, Any], there: list[str], not_there: list[str]
) -> None:
    others["notifications"].answers[f"GET {API}"] = (200, endpoint(**changes))
    page = operator.get(PLACE).text
    assert [text for text in there if text not in page] == []
    assert [text for text in not_there if text in page] == []


@pytest.mark.parametrize(
    ("button", "request_line", "form", "body"),
    [
        ("test", f"POST {API}/test", {}, {}),
        ("enable", f"PATCH {API}", {}, {"enabled": True}),
        ("disable", f"PATCH {API}", {}, {"enabled": False}),
        ("resend", f"POST {API}/resend", {"since": "2026-01-31T12:00"}, {"since": "2026-01-31T12:00:00.000000Z"}),
        (f"deliveries/{DELIVERY_ID}/resend", f"POST /api/v1/deliveries/{DELIVERY_ID}/resend", {}, {}),
        (f"deliveries/{DELIVERY_ID}/dismiss", f"POST /api/v1/deliveries/{DELIVERY_ID}/dismiss", {}, {}),
    ],
)
def test_an_action_is_executed_and_recorded(  # noqa: PLR0917 - fixtures and parameters
    operator: FlaskClient, others: Fakes, button: str, request_line: str, form: dict[str, str], body: Any
) -> None:
    others["notifications"].answers[request_line] = (200, {})
    reply = post(operator, f"{PLACE}/{button}", **form)
    assert reply.status_code == 303
    assert others["notifications"].last(request_line).body == body
    others["notifications"].answers[f"GET {API}"] = (200, endpoint(enabled=button != "disable"))
    page = operator.get(reply.headers["Location"]).text
    assert page.count('role="status"') == 1
    assert 'by <span title="' in page


def test_a_rotated_secret_is_shown_once(operator: FlaskClient, others: Fakes) -> None:
    secret = "whsec_abc"
    others["notifications"].answers[f"POST {API}/rotate-secret"] = (200, endpoint(secret=secret))
    reply = post(operator, f"{PLACE}/rotate-secret", keep="3600")
    assert (reply.status_code, secret in reply.text, reply.headers["Cache-Control"]) == (200, True, "no-store")
    assert others["notifications"].last(f"POST {API}/rotate-secret").body == {"keep_previous_seconds": 3600}
    others["notifications"].answers[f"POST {API}/rotate-secret"] = (200, endpoint())
    assert "the secret was shown then" in post(operator, f"{PLACE}/rotate-secret", keep="3600").text
    assert secret not in operator.get(PLACE).text
    assert post(operator, f"{PLACE}/rotate-secret", keep="1").status_code == 422


def test_an_invalid_time_or_id_is_rejected(operator: FlaskClient, others: Fakes) -> None:
    assert post(operator, f"{PLACE}/resend", since="yesterday").status_code == 422
    before = len(others["notifications"].asked)
    assert operator.get("/console/webhooks/..%2Fdeliveries").status_code == 404
    assert post(operator, f"{PLACE}/deliveries/x/resend").status_code == 404
    assert len(others["notifications"].asked) == before


def test_the_outcome_of_a_test_event_replaces_its_notice(operator: FlaskClient, others: Fakes) -> None:
    others["notifications"].answers[f"POST {API}/test"] = (200, {})
    place = post(operator, f"{PLACE}/test").headers["Location"]
    assert "A test event is requested." in operator.get(place).text
    answered = delivery(event_type="webhook.test.v1")
    answered["history"][0] |= {"at": rfc3339(utc_now()), "status_code": 410}
    others["notifications"].answers[f"GET {API}/deliveries"] = (200, {"data": [answered], "has_more": False})
    page = operator.get(place).text
    assert '<p class="strip bad" role="status">The test event was sent, 1 of 1 refused: it answered 410.</p>' in page
    assert "A test event is requested." not in page


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, '<span class="chip">nothing sent yet</span>'),
        ({"last_attempt_at": MOMENT}, "its last attempt failed"),
        ({"last_attempt_at": MOMENT, "last_success_at": MOMENT}, '<span class="chip ok">works</span>'),
    ],
)
def test_an_endpoint_is_healthy_only_if_its_last_attempt_succeeded(
    operator: FlaskClient, others: Fakes, changes: dict[str, Any], text: str
) -> None:
    others["notifications"].answers[f"GET {API}"] = (200, endpoint(**changes))
    assert text in operator.get(PLACE).text
