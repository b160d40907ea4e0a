"""The pages Cases, Promises and Try it, on other contexts' responses and on the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.messaging.events import new_id
from services.operations import usecases
from services.operations.console.tests.conftest import csrf_of
from services.operations.tests.dead_letters import file

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from pymongo.database import Database

    from services.operations.console.tests.fake_services import Fakes

pytestmark = pytest.mark.integration
XSS = '<img src=x onerror="alert(1)">'
NONE = (200, {"data": [], "has_more": False})
MONEY = {"amount": 1250, "currency": "usd"}
CASE = {
    "id": new_id(),
    "order_id": new_id(),
    "amount": MONEY,
    "refunded": {"amount": 0, "currency": "usd"},
    "refund_refusal": {"code": XSS, "tries": 5, "retry_at": None, "standing_since": "2026-01-01T00:00:00Z"},
}


def post(client: FlaskClient, path: str, **form: str) -> Any:
    return client.post(path, data={"csrf": csrf_of(client.get("/console/nothing")), "key": new_id(), **form})


def test_a_refused_refund_is_shown_and_can_be_decided(operator: FlaskClient, others: Fakes) -> None:
    payments = others["payments"]
    payments.answers["GET /api/v1/payments/standing-cases"] = (200, {"data": [CASE], "has_more": False})
    payments.answers["GET /api/v1/payments/undecided"] = NONE
    for act in ("retry", "record"):
        payments.answers[f"POST /api/v1/payments/{CASE['id']}/refunds/{act}"] = (200, {})
    page = operator.get("/console/cases").text
    assert "12.50 USD of order" in page
    assert XSS not in page
    assert post(operator, f"/console/cases/{CASE['id']}/retry", reason="try").status_code == 303
    assert payments.asked[-1].body == {"reason": "try"}
    form = {"reason": "transfer", "amount": "", "reference": "T-1", "provider_refund_id": ""}
    assert post(operator, f"/console/cases/{CASE['id']}/record", **form).status_code == 303
    assert payments.asked[-1].body == {"reason": "transfer", "reference": "T-1"}
    assert "by <span" in operator.get("/console/cases").text
    assert post(operator, f"/console/cases/{CASE['id']}/retry", reason="").status_code == 422
    assert post(operator, f"/console/cases/{CASE['id']}/record", reason="x", amount="12.50").status_code == 422


def test_each_undecided_payment_has_buttons_and_actions_are_recorded(operator: FlaskClient, others: Fakes) -> None:
    charge = CASE | {"status": "pending", "created_at": "2026-01-01T00:00:00Z", "provider_id": XSS}
    refund = charge | {"id": new_id(), "order_id": new_id(), "status": "captured"}
    payments = others["payments"]
    payments.answers["GET /api/v1/payments/standing-cases"] = NONE
    payments.answers["GET /api/v1/payments/undecided"] = (200, {"data": [charge, refund], "has_more": True})
    payments.answers[f"POST /api/v1/payments/{refund['id']}/re-check"] = (200, {})
    page = operator.get("/console/cases").text
    assert (page.count("Charge of 12.50"), page.count("Refund of 12.50"), page.count("Cancel the order")) == (1, 1, 1)
    assert XSS not in page
    assert f"starting_after={refund['id']}" in page
    reply = post(operator, f"/console/cases/{refund['id']}/re-check", order_id=str(refund["order_id"]))
    assert reply.status_code == 303
    page = operator.get("/console/cases?list=undecided&starting_after=" + str(charge["id"])).text
    assert "re-check the payment" in page
    sent = payments.last(f"GET /api/v1/payments/undecided?limit=25&starting_after={charge['id']}")
    assert sent.headers["Authorization"].startswith("Bearer ")


def test_an_empty_list_of_cases_differs_from_an_outage(operator: FlaskClient, others: Fakes) -> None:
    payments = others["payments"]
    payments.answers |= dict.fromkeys(("GET /api/v1/payments/standing-cases", "GET /api/v1/payments/undecided"), NONE)
    assert operator.get("/console/cases").text.count("None.") == 2
    payments.answers["GET /api/v1/payments/standing-cases"] = (503, {"detail": "away"})
    page = operator.get("/console/cases").text
    assert "The payments service does not answer" in page
    assert page.count("None.") == 1


def test_actions_link_to_their_subjects(operator: FlaskClient, others: Fakes, store: Database[dict[str, Any]]) -> None:
    payments, order_id, letter_id = others["payments"], new_id(), file(store)
    payments.answers |= dict.fromkeys(("GET /api/v1/payments/standing-cases", "GET /api/v1/payments/undecided"), NONE)
    payments.answers[f"POST /api/v1/payments/{CASE['id']}/re-check"] = (
        200,
        {"outcome": "changed", "status": "refunded"},
    )
    post(operator, f"/console/cases/{CASE['id']}/re-check", order_id=order_id)
    assert post(operator, f"/console/dead-letters/{letter_id}/discard", reason="test data").status_code == 303
    acts = operator.get("/console/cases").text.partition('id="acts"')[2]
    assert f'href="/console/orders/{order_id}"' in acts
    assert "now refunded" in acts
    assert f'href="/console/dead-letters/{letter_id}"' in acts
    assert "test data" in acts


def test_the_promises_page_lists_audits(operator: FlaskClient, store: Database[dict[str, Any]]) -> None:
    assert "Not audited yet." in operator.get("/console/promises").text
    for broken in (0, 2):
        promises = [{"promise": f"P{number}", "broken": broken if number == 3 else 0} for number in range(1, 6)]
        usecases.record_audit(store, {"orders": 40, "promises": promises}, by="u1")
    page = operator.get("/console/promises").text
    assert "A promise is broken." in page
    assert page.count("2 broken") == 2
    assert page.count("<time") == 2


def test_a_key_sent_twice_creates_one_order(operator: FlaskClient, others: Fakes) -> None:
    product = {"sku": "TEA-1", "name": XSS, "price": MONEY, "available": 3}
    others["inventory"].answers["GET /api/v1/products"] = (200, {"data": [product]})
    order = {"id": new_id(), "status": "pending", "total": MONEY}
    others["orders"].answers["POST /api/v1/orders"] = (202, order)
    page = operator.get("/console/try")
    assert XSS not in page.text
    reply = post(operator, "/console/try", sku="TEA-1", quantity="2", card="pm_card_visa", twice="1")
    assert "Two requests, one order." in reply.text
    first, second = (sent for sent in others["orders"].sent if sent.method == "POST")
    assert first.body == second.body == {"items": [{"sku": "TEA-1", "quantity": 2}], "payment_method": "pm_card_visa"}
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.headers["Idempotency-Key"] in reply.text


def test_a_rejected_order_shows_its_reason(operator: FlaskClient, others: Fakes) -> None:
    others["inventory"].answers["GET /api/v1/products"] = (503, {})
    others["orders"].answers["POST /api/v1/orders"] = (422, {"detail": "unknown sku", "code": "unknown_sku"})
    reply = post(operator, "/console/try", sku="x", quantity="1", card="pm_card_visa")
    assert "unknown_sku" in reply.text
    assert "The inventory service does not answer" in reply.text
