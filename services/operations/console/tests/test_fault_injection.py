"""The page Break something: it shows and calls the control process, and is unavailable outside a local stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operations.console.tests.conftest import csrf_of, sign_in
from services.operations.console.tests.fake_services import Fakes, FakeService, fakes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

pytestmark = pytest.mark.integration
XSS = '<img src=x onerror="alert(1)">'
FAULT = {"id": "provider-errors", "title": "The provider fails", "effect": "x", "targets": [], "is_momentary": False}
KILL = {"id": "worker-killed", "title": "Kill", "effect": "x", "targets": ["worker-a", XSS], "is_momentary": True}
ACTIVE = {
    "fault": "provider-errors", "title": "The provider fails", "target": XSS, "by": "u1", "seconds": 60,
    "left_seconds": 42.0, "started_at": "2026-01-01T00:00:00Z", "problem": "",
}  # fmt: skip
ACT = {"at": "2026-01-01T00:00:00Z", "by": "automatic", "act": "undone", "title": "Kill", "target": XSS, "text": XSS}
CALM = {"faults": [FAULT | {"available": True}, KILL | {"available": True}], "active": None, "acts": [], "audit": None}


@pytest.fixture
def control() -> Iterator[FakeService]:
    with fakes("control") as running:
        running["control"].answers["GET /api/v1/control"] = (200, CALM)
        yield running["control"]


@pytest.fixture
def app(
    make_app: Callable[..., Flask],
    store: Database[dict[str, Any]],
    document_store: str,
    others: Fakes,
    control: FakeService,
) -> Flask:
    assert store is not None
    url = control.metrics_url.removesuffix("/metrics")
    return make_app(document_store, metrics_urls=others.metrics_urls, local_control_url=url)


def post(client: FlaskClient, path: str, **form: str) -> Any:
    return client.post(path, data={"csrf": csrf_of(client.get("/console/nothing")), **form})


def test_faults_are_listed_and_a_request_is_forwarded_with_the_operators_token(
    operator: FlaskClient, control: FakeService, others: Fakes
) -> None:
    page = operator.get("/console/break").text
    assert "No fault is active." in page
    assert "No fault was injected from here yet." in page
    assert XSS not in page
    control.answers["POST /api/v1/control/faults"] = (201, {"active": ACTIVE})
    assert post(operator, "/console/break", fault="provider-errors", seconds="60").status_code == 303
    sent = control.last("POST /api/v1/control/faults")
    token = others["users"].answers["POST /api/v1/tokens"][1]["access_token"]
    assert sent.body == {"fault": "provider-errors", "target": "", "seconds": 60.0}
    assert sent.headers["Authorization"] == f"Bearer {token}"
    assert "Origin" not in sent.headers


def test_an_active_fault_is_shown_until_it_is_undone(operator: FlaskClient, control: FakeService) -> None:
    control.answers["GET /api/v1/control"] = (200, CALM | {"active": ACTIVE, "acts": [ACT]})
    page = operator.get("/console/break").text
    assert "42 s" in page
    assert "by itself" in page
    assert XSS not in page
    control.answers["POST /api/v1/control/undo"] = (200, {"undone": False, "active": ACTIVE})
    assert post(operator, "/console/break/undo").location.endswith("?done=undoing")
    problem = CALM | {"active": ACTIVE | {"problem": "no reply"}}
    control.answers["GET /api/v1/control"] = (200, problem)
    assert "could not be undone yet (no reply)" in operator.get("/console/break").text


@pytest.mark.parametrize("path", ["/console/break", "/console/break/undo", "/console/promises/audits"])
def test_a_form_without_a_valid_csrf_token_does_nothing(operator: FlaskClient, control: FakeService, path: str) -> None:
    form = {"fault": "provider-errors", "seconds": "60"}
    assert operator.post(path, data=form).status_code == 403
    own = form | {"csrf": csrf_of(operator.get("/console/nothing"))}
    assert operator.post(path, data=own, headers={"Origin": "http://evil.example"}).status_code == 403
    assert operator.post(path, data=own, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert [sent for sent in control.sent if sent.method == "POST"] == []


def test_a_rejection_differs_from_an_unresponsive_control_process(operator: FlaskClient, control: FakeService) -> None:
    control.answers["POST /api/v1/control/faults"] = (409, {"code": "fault_active", "detail": "Another fault is on"})
    reply = post(operator, "/console/break", fault="provider-errors", seconds="60")
    assert (reply.status_code, "Another fault is on." in reply.text) == (409, True)
    assert post(operator, "/console/break", fault="provider-errors", seconds="900").status_code == 422
    control.answers["GET /api/v1/control"] = (503, {"detail": "away"})
    page = operator.get("/console/break")
    assert (page.status_code, "The control process does not answer (away)" in page.text) == (200, True)


def test_outside_a_local_stack_the_page_is_unavailable_and_not_linked(
    make_app: Callable[..., Flask], document_store: str, others: Fakes
) -> None:
    client = make_app(document_store, metrics_urls=others.metrics_urls).test_client()
    sign_in(client)
    assert "Break something" not in client.get("/").text
    assert "This is not a local stack" in client.get("/console/break").text
    reply = post(client, "/console/break", fault="provider-errors", seconds="60")
    assert (reply.status_code, "LOCAL_CONTROL_URL is not set" in reply.text) == (503, True)
    promises = client.get("/console/promises").text
    assert "holdfast audit --url http://localhost" in promises
    assert "Run an audit" not in promises
