"""The page Promises: starting an audit, its progress, and its findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from services.operations import usecases
from services.operations.console.promises import PROMISES
from services.operations.console.tests.test_fault_injection import CALM, app, control, post

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from pymongo.database import Database

    from services.operations.console.tests.fake_services import FakeService

__all__ = ["app", "control"]
pytestmark = pytest.mark.integration
XSS = "<script>alert(1)</script>"
RUN = {"id": "1", "state": "running", "by": "u1", "reading": XSS, "done": ["orders"], "seconds": 2.5, "error": ""}


def report(**broken: int) -> dict[str, Any]:
    return {"orders": 40, "promises": [{"promise": name, "broken": broken.get(name, 0)} for name in PROMISES]}


def test_starting_an_audit_shows_its_progress(operator: FlaskClient, control: FakeService) -> None:
    page = operator.get("/console/promises").text
    assert "Not audited yet." in page
    assert 'data-refresh="10"' in page
    control.answers["POST /api/v1/control/audits"] = (202, {"audit": RUN})
    assert post(operator, "/console/promises/audits").status_code == 303
    control.answers["GET /api/v1/control"] = (200, CALM | {"audit": RUN})
    page = operator.get("/console/promises").text
    assert "2.5 s so far" in page
    assert 'data-refresh="1"' in page
    assert XSS not in page
    control.answers["GET /api/v1/control"] = (200, CALM | {"audit": RUN | {"state": "failed", "error": "no ledger"}})
    page = operator.get("/console/promises").text
    assert "ended without a verdict. no ledger" in page
    assert "Run an audit" in page


def test_a_second_audit_is_rejected_while_one_is_running(operator: FlaskClient, control: FakeService) -> None:
    problem = {"code": "audit_running", "detail": "An audit is running"}
    control.answers["POST /api/v1/control/audits"] = (409, problem)
    reply = post(operator, "/console/promises/audits")
    assert (reply.status_code, "An audit is running." in reply.text) == (409, True)


def test_past_audits_are_shown_while_the_control_process_is_unresponsive(
    operator: FlaskClient, control: FakeService, store: Database[dict[str, Any]]
) -> None:
    usecases.record_audit(store, report(), by="u1")
    control.answers["GET /api/v1/control"] = (503, {"detail": "away"})
    page = operator.get("/console/promises").text
    assert "Every promise is kept: 7 of 7." in page
    assert "The control process does not answer (away)" in page


def test_offending_orders_are_linked(operator: FlaskClient, store: Database[dict[str, Any]]) -> None:
    order_id = new_id()
    findings = [
        {"promise": "P1", "subject": order_id, "text": f"still pending {XSS}"},
        {"promise": "P3", "subject": "TEA-1", "text": "oversold"},
        {"promise": "P6", "subject": new_id(), "text": "not delivered"},
    ]
    broken = usecases.record_audit(store, report(P1=1, P3=1, P6=3) | {"findings": findings}, by="u1")
    page = operator.get("/console/promises").text
    assert "3 promises are broken." in page
    assert f"/console/orders/{order_id}" in page
    assert page.count("/console/orders/") == 1
    assert "The first 3 of 5." in page
    assert XSS not in page
    usecases.record_audit(store, report(), by="u1")
    assert "Inconsistencies" not in operator.get("/console/promises").text
    past = operator.get(f"/console/promises/{broken['id']}").text
    assert f"/console/orders/{order_id}" in past
    assert operator.get(f"/console/promises/{new_id()}").status_code == 404
    assert operator.get("/console/promises/x").status_code == 404
