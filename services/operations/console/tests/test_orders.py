"""The pages of orders: search, the history of an order, and its actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from common.messaging.events import new_id
from services.operations.console.tests.conftest import csrf_of, sign_in
from services.operations.tests.dead_letters import dead, file, happening

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

    from services.operations.console.tests.fake_services import Fakes

pytestmark = pytest.mark.integration
XSS = '<img src=x onerror="alert(1)">'
ORDER_ID, CUSTOMER_ID, PAYMENT_ID = new_id(), new_id(), new_id()
MONEY = {"amount": 1250, "currency": "usd"}


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": ORDER_ID,
        "customer_id": CUSTOMER_ID,
        "status": "confirmed",
        "cancel_reason": None,
        "items": [{"sku": XSS, "quantity": 2, "unit_price": MONEY}],
        "total": MONEY,
        "payment_method": "pm_card_visa",
        "created_at": "2026-01-01T00:00:00Z",
        "version": 2,
    } | changes


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "id": PAYMENT_ID,
        "order_id": ORDER_ID,
        "amount": MONEY,
        "refunded": {"amount": 0, "currency": "usd"},
        "refund_pending": {"amount": 0, "currency": "usd"},
        "refund_refusal": None,
        "status": "captured",
        "decline_code": None,
        "provider_id": "pi_1",
    } | changes


def entry(kind: str, second: int, **data: Any) -> dict[str, Any]:
    moment = f"2026-01-01T00:00:{second:02d}Z"
    return {"type": kind, "source": "/services/x", "time": moment, "summary": f"{kind} {XSS}", "data": data}


@pytest.fixture(autouse=True)
def one_order(others: Fakes) -> None:
    others["orders"].answers |= {
        "GET /api/v1/orders": (200, {"data": [order()], "has_more": True}),
        f"GET /api/v1/orders/{ORDER_ID}": (200, order()),
        f"GET /api/v1/orders/{CUSTOMER_ID}": (404, {"detail": "no such order"}),
    }
    others["payments"].answers["GET /api/v1/payments"] = (200, {"data": [payment()]})
    entries = [entry("order.placed.v1", 0, name=XSS), entry("order.confirmed.v1", 10)]
    others["archive"].answers[f"GET /api/v1/orders/{ORDER_ID}/timeline"] = (200, {"data": entries})


def test_orders_are_listed_with_a_link_to_older_ones(operator: FlaskClient, others: Fakes) -> None:
    page = operator.get("/console/orders?status=confirmed")
    assert f'href="/console/orders/{ORDER_ID}"' in page.text
    assert f"starting_after={ORDER_ID}" in page.text
    assert "status=confirmed&limit=25" in others["orders"].asked[-1].path
    assert XSS not in page.text


def test_an_order_id_opens_the_order_and_a_customer_id_lists_their_orders(operator: FlaskClient, others: Fakes) -> None:
    reply = operator.get(f"/console/orders?q=+{ORDER_ID}+")
    assert (reply.status_code, reply.headers["Location"]) == (303, f"/console/orders/{ORDER_ID}")
    assert operator.get(f"/console/orders?q={CUSTOMER_ID}").status_code == 200
    assert f"customer_id={CUSTOMER_ID}" in others["orders"].asked[-1].path


def test_other_input_is_a_sku_and_times_are_utc(operator: FlaskClient, others: Fakes) -> None:
    page = operator.get("/console/orders?q=TEA-1&since=2026-01-31T12:00&until=2026-02-01T00:00&status=odd")
    query = parse_qs(urlsplit(others["orders"].asked[-1].path).query)
    assert query == {
        "sku": ["TEA-1"], "limit": ["25"],
        "since": ["2026-01-31T12:00:00.000000Z"], "until": ["2026-02-01T00:00:00.000000Z"],
    }  # fmt: skip
    assert "since=2026-01-31T12:00&amp;until=2026-02-01T00:00" in page.text  # the link to older orders


def test_an_invalid_search_is_explained(operator: FlaskClient, others: Fakes) -> None:
    before = len(others["orders"].asked)
    assert "is a date and a time" in operator.get("/console/orders?since=yesterday").text
    assert len(others["orders"].asked) == before
    others["orders"].answers["GET /api/v1/orders"] = (422, {"detail": "x", "errors": {"sku": ["odd"]}})
    page = operator.get("/console/orders?q=%3Cscript%3Ealert").text
    assert "or enter a SKU" in page
    assert "<script>alert" not in page


def test_an_empty_result_is_shown(operator: FlaskClient, others: Fakes) -> None:
    others["orders"].answers["GET /api/v1/orders"] = (200, {"data": [], "has_more": False})
    assert "No order yet." in operator.get("/console/orders").text


@pytest.mark.parametrize("path", ["/console/orders", f"/console/orders/{ORDER_ID}"])
def test_a_context_that_is_down_is_named(operator: FlaskClient, others: Fakes, path: str) -> None:
    for service in others.services.values():
        service.answers = {name: (503, {"detail": "try again"}) for name in service.answers}
    page = operator.get(path)
    assert page.status_code == 200
    assert "The orders service does not answer" in page.text


def test_the_history_is_to_scale_and_includes_dead_letters(
    operator: FlaskClient, store: Database[dict[str, Any]]
) -> None:
    letter_id = file(store, dead(happening(orderid=ORDER_ID), failed_at="2026-01-01T00:00:05Z", error=XSS))
    page = operator.get(f"/console/orders/{ORDER_ID}").text
    assert page.index("order.placed.v1") < page.index(f"/console/dead-letters/{letter_id}", page.index("story-title"))
    assert 'class="span" x1="500.0" x2="1000.0"' in page
    assert XSS not in page
    assert "&lt;img src=x" in page


@pytest.mark.parametrize(
    ("status", "paid", "there", "not_there"),
    [
        ("confirmed", "captured", ["Resend the last event", "Re-check", "Refund"], ["Cancel the order"]),
        ("reserved", "pending", ["Cancel the order", "Re-check"], ["Resend the last event", ">Refund<"]),
        ("cancelled", "refunded", ["Resend the last event"], ["Cancel the order", ">Refund<"]),
    ],
)
def test_only_possible_actions_are_offered(  # noqa: PLR0917 - fixtures and parameters
    operator: FlaskClient, others: Fakes, status: str, paid: str, there: list[str], not_there: list[str]
) -> None:
    others["orders"].answers[f"GET /api/v1/orders/{ORDER_ID}"] = (200, order(status=status))
    others["payments"].answers["GET /api/v1/payments"] = (200, {"data": [payment(status=paid)]})
    page = operator.get(f"/console/orders/{ORDER_ID}").text
    assert [text for text in there if text not in page] == []
    assert [text for text in not_there if text in page] == []


def test_an_undecided_refund_shows_its_cause_and_a_re_check_button(operator: FlaskClient, others: Fakes) -> None:
    others["orders"].answers[f"GET /api/v1/orders/{ORDER_ID}"] = (
        200,
        order(status="cancelled", cancel_reason="requested"),
    )
    others["payments"].answers["GET /api/v1/payments"] = (200, {"data": [payment(refund_pending=MONEY)]})
    page = operator.get(f"/console/orders/{ORDER_ID}").text
    head = page[page.index('id="head"') : page.index('id="do-title"')]
    assert "a refund of 12.50 USD was requested and the payment provider has not decided it" in head
    assert f"/console/orders/{ORDER_ID}/payments/{PAYMENT_ID}/re-check" in head
    assert 'href="/console/cases"' in head
    assert "<summary>Refund" not in page
    assert page.index("12.50 USD is requested, not decided") < page.index("Resend the last event")


def test_a_re_check_reports_its_result(operator: FlaskClient, others: Fakes) -> None:
    path = f"payments/{PAYMENT_ID}/re-check"
    reply = payment() | {"outcome": "undecided", "previous_status": "captured"}
    others["payments"].answers[f"POST /api/v1/{path}"] = (200, reply)
    button = f"/console/orders/{ORDER_ID}/{path}"
    answer = operator.post(button, data={"csrf": csrf_of(operator.get("/"))}, follow_redirects=True)
    assert '<p class="strip warn" role="status">Still undecided' in answer.text
    assert "By olga: still undecided" in answer.text


def test_an_unavailable_provider_is_named_with_a_link_back(operator: FlaskClient, others: Fakes) -> None:
    path = f"payments/{PAYMENT_ID}/re-check"
    problem = {"detail": "try again soon", "code": "payment_provider_unavailable"}
    others["payments"].answers[f"POST /api/v1/{path}"] = (503, problem)
    reply = operator.post(f"/console/orders/{ORDER_ID}/{path}", data={"csrf": csrf_of(operator.get("/"))})
    assert "The payment provider does not answer" in reply.text
    assert "payments service" not in reply.text
    assert f'href="/console/orders/{ORDER_ID}"' in reply.text


def test_too_many_decimals_are_rejected_before_a_request(operator: FlaskClient, others: Fakes) -> None:
    page = operator.get(f"/console/orders/{ORDER_ID}")
    assert 'value="12.50"' in page.text
    before = len(others["payments"].asked)
    form = {"csrf": csrf_of(page), "key": new_id(), "reason": "x", "currency": "usd", "amount": "12.505"}
    reply = operator.post(f"/console/orders/{ORDER_ID}/payments/{PAYMENT_ID}/refund", data=form)
    assert (reply.status_code, "An amount in USD" in reply.text) == (422, True)
    assert len(others["payments"].asked) == before


@pytest.mark.parametrize(
    ("button", "service", "path", "form", "body"),
    [
        ("cancel", "orders", f"orders/{ORDER_ID}/cancel", {}, {}),
        ("resend", "orders", f"orders/{ORDER_ID}/re-emit", {}, {}),
        (f"payments/{PAYMENT_ID}/re-check", "payments", f"payments/{PAYMENT_ID}/re-check", {}, {}),
        (
            f"payments/{PAYMENT_ID}/refund",
            "payments",
            f"payments/{PAYMENT_ID}/refunds",
            {"reason": "broken", "amount": "0.50", "currency": "usd"},
            {"reason": "broken", "amount": {"amount": 50, "currency": "usd"}},
        ),
    ],
)
def test_a_form_executes_once_as_the_operator(  # noqa: PLR0917 - fixtures and parameters
    operator: FlaskClient, others: Fakes, button: str, service: str, path: str, form: dict[str, str], body: Any
) -> None:
    others[service].answers[f"POST /api/v1/{path}"] = (200, {})
    key = new_id()
    csrf = csrf_of(operator.get(f"/console/orders/{ORDER_ID}"))
    reply = operator.post(f"/console/orders/{ORDER_ID}/{button}", data={"csrf": csrf, "key": key} | form)
    assert reply.status_code == 303
    sent = others[service].asked[-1]
    assert sent.body == body
    assert sent.headers["Authorization"].startswith("Bearer ")
    assert sent.headers.get("Idempotency-Key") in {key, None}
    assert 'role="status"' in operator.get(reply.headers["Location"]).text


@pytest.mark.parametrize(
    ("answer", "status", "shown"),
    [
        ((409, {"detail": "a confirmed order cannot be cancelled", "code": "order_not_cancellable"}), 409, "cannot be"),
        ((503, {"detail": "try again soon"}), 503, "It is not known whether your request was executed"),
    ],
)
def test_a_rejection_or_an_outage_is_explained(
    operator: FlaskClient, others: Fakes, answer: Any, status: int, shown: str
) -> None:
    others["orders"].answers[f"POST /api/v1/orders/{ORDER_ID}/cancel"] = answer
    csrf = csrf_of(operator.get("/"))
    reply = operator.post(f"/console/orders/{ORDER_ID}/cancel", data={"csrf": csrf, "key": new_id()})
    assert (reply.status_code, shown in reply.text) == (status, True)
    assert f'href="/console/orders/{ORDER_ID}"' in reply.text  # the link back


def test_an_action_is_recorded_and_in_the_history_whatever_its_outcome(operator: FlaskClient, others: Fakes) -> None:
    path = f"/console/orders/{ORDER_ID}/cancel"
    csrf = csrf_of(operator.get("/"))
    for answer, outcome in (((200, {}), "By olga<"), ((409, {"detail": XSS}), "refused"), ((503, {}), "no reply")):
        others["orders"].answers[f"POST /api/v1/orders/{ORDER_ID}/cancel"] = answer
        operator.post(path, data={"csrf": csrf, "key": new_id()})
        page = operator.get(f"/console/orders/{ORDER_ID}").text
        assert outcome in page
        assert XSS not in page
    assert page.count("cancel the order") == 3


def test_failed_webhooks_are_in_the_history_with_a_resend_button(operator: FlaskClient, others: Fakes) -> None:
    attempt = {"at": "2026-01-01T00:00:03Z", "status_code": 500, "error": XSS, "latency_seconds": 0.1, "answer": XSS}
    delivery = {
        "id": new_id(), "endpoint_id": new_id(), "event_type": "order.placed.v1", "order_id": ORDER_ID,
        "status": "failed", "reason": "attempts_exhausted", "history": [attempt], "created_at": attempt["at"],
    }  # fmt: skip
    notifications = others["notifications"]
    notifications.answers["GET /api/v1/deliveries"] = (200, {"data": [delivery]})
    notifications.answers[f"POST /api/v1/deliveries/{delivery['id']}/resend"] = (202, {})
    page = operator.get(f"/console/orders/{ORDER_ID}")
    assert f"/console/webhooks/{delivery['endpoint_id']}" in page.text
    assert "attempt failed: answered 500" in page.text
    assert XSS not in page.text
    button = f"/console/orders/{ORDER_ID}/deliveries/{delivery['id']}/resend"
    assert button in page.text
    assert operator.post(button, data={"csrf": csrf_of(page), "key": new_id()}).status_code == 303


def test_the_trace_is_shown_as_text_or_linked(
    make_app: Callable[..., Flask], operator: FlaskClient, document_store: str, others: Fakes
) -> None:
    placed = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "correlationid": "request-7"}
    others["archive"].answers["GET /api/v1/events"] = (200, {"data": [placed]})
    page = operator.get(f"/console/orders/{ORDER_ID}").text
    assert f'<code class="secret">{"a" * 32}</code>' in page
    assert "request-7" in page
    template = "http://traces.example/trace/{trace_id}"
    client = make_app(document_store, metrics_urls=others.metrics_urls, trace_url_template=template).test_client()
    sign_in(client)
    assert f'href="http://traces.example/trace/{"a" * 32}"' in client.get(f"/console/orders/{ORDER_ID}").text
    others["archive"].answers["GET /api/v1/events"] = (200, {"data": [placed | {"traceparent": None}]})
    assert "traces.example" not in client.get(f"/console/orders/{ORDER_ID}").text


def test_a_form_without_a_csrf_token_sends_no_request(operator: FlaskClient, others: Fakes) -> None:
    before = len(others["orders"].asked)
    assert operator.post(f"/console/orders/{ORDER_ID}/cancel", data={"key": new_id()}).status_code == 403
    assert len(others["orders"].asked) == before


@pytest.mark.parametrize("path", ["/console/orders/x", "/console/orders/..%2Fpayments"])
def test_an_invalid_id_sends_no_request(operator: FlaskClient, path: str) -> None:
    assert operator.get(path).status_code == 404
