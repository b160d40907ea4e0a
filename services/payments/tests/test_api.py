"""The payments API, as customers and operators use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.messaging.events import new_id, rfc3339
from common.tests.sample_service import bearer
from services.payments.tests.builders import (
    AMOUNT,
    CUSTOMER,
    cancel,
    captured,
    new_order,
    payment_of,
    place,
    reserve,
)
from services.payments.tests.calls import PAYMENTS, answer, get, operator, problem, usd
from services.payments.tests.provider_hooks import Crash, crash, interrupted

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from services.payments.resources import Resources

pytestmark = pytest.mark.integration


def test_a_payment_is_visible_to_its_customer_and_to_operators(client: FlaskClient, resources: Resources) -> None:
    payment = captured(resources)
    shown = {
        "id": payment.id,
        "order_id": payment.order_id,
        "amount": usd(AMOUNT),
        "refunded": usd(0),
        "refunded_elsewhere": usd(0),
        "refund_pending": usd(0),
        "refund_refusal": None,
        "status": "captured",
        "decline_code": None,
        "provider_id": payment.provider_id,
        "created_at": rfc3339(payment.created_at),
        "version": 1,
    }
    assert answer(get(client, f"/{payment.id}"), 200) == shown
    assert answer(client.get(f"{PAYMENTS}/{payment.id}", headers=operator()), 200) == shown
    assert answer(get(client, f"?order_id={payment.order_id}"), 200) == {
        "object": "list",
        "data": [shown],
        "has_more": False,
        "url": PAYMENTS,
    }


def test_a_payment_of_another_customer_is_404(client: FlaskClient, resources: Resources) -> None:
    payment = captured(resources)
    assert problem(get(client, f"/{payment.id}", who="customer-2")) == (404, "not_found")
    assert answer(get(client, f"?order_id={payment.order_id}", who="customer-2"), 200)["data"] == []
    assert answer(get(client, who="customer-2"), 200)["data"] == []


@pytest.mark.parametrize("payment_id", [new_id(), "42", "%F0%9F%92%A9", "x" * 300, new_id().upper()])
def test_an_unknown_payment_is_404(client: FlaskClient, payment_id: str) -> None:
    assert problem(get(client, f"/{payment_id}")) == (404, "not_found")


def test_every_outcome_has_its_status(client: FlaskClient, resources: Resources) -> None:
    order = new_order()
    place(resources, order, method="pm_card_chargeDeclined")
    assert shown(client, order) == ("pending", 0, None)
    reserve(resources, order)
    assert shown(client, order) == ("declined", 1, "generic_decline")

    order = captured(resources).order_id
    cancel(resources, order)
    assert shown(client, order) == ("refunded", 2, None)

    order = new_order()
    place(resources, order)
    cancel(resources, order)
    assert shown(client, order) == ("cancelled", 0, None)


def shown(client: FlaskClient, order_id: str) -> tuple[str, int, str | None]:
    (payment,) = answer(get(client, f"?order_id={order_id}"), 200)["data"]
    assert answer(get(client, f"/{payment['id']}"), 200) == payment
    return payment["status"], payment["version"], payment["decline_code"]


def test_a_payment_is_hidden_until_its_order_is_known(client: FlaskClient, resources: Resources) -> None:
    early, cancelled = new_order(), new_order()
    reserve(resources, early)
    cancel(resources, cancelled)
    for order in (early, cancelled):
        payment = payment_of(resources.engine, order)
        assert problem(client.get(f"{PAYMENTS}/{payment.id}", headers=operator())) == (404, "not_found")
        assert answer(client.get(f"{PAYMENTS}?order_id={order}", headers=operator()), 200)["data"] == []


def test_payments_are_paginated(client: FlaskClient, resources: Resources) -> None:
    orders = [new_order() for _ in range(5)]
    for order in orders:
        place(resources, order)
    seen: list[str] = []
    cursor, pages = "", 0
    while True:
        page = answer(get(client, f"?limit=2{cursor}"), 200)
        seen += [payment["order_id"] for payment in page["data"]]
        pages += 1
        if not page["has_more"]:
            break
        cursor = f"&starting_after={page['data'][-1]['id']}"
    assert (seen, pages) == (orders[::-1], 3)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "starting_after=x", "order_id=42", "order_id=", "status=captured"]
)
def test_an_invalid_query_is_rejected(client: FlaskClient, query: str) -> None:
    assert problem(get(client, f"?{query}")) == (422, "invalid_request")


def test_requests_without_a_token_are_rejected(client: FlaskClient) -> None:
    assert problem(client.get(PAYMENTS)) == (401, "unauthenticated")
    assert problem(client.get(PAYMENTS, headers=bearer(exp=1))) == (401, "token_expired")
    assert problem(client.post(f"{PAYMENTS}/x/refunds", json={})) == (401, "unauthenticated")


def test_only_operators_may_refund(client: FlaskClient, resources: Resources) -> None:
    payment = captured(resources)
    reply = client.post(f"{PAYMENTS}/{payment.id}/refunds", json={"reason": "please"}, headers=bearer(sub=CUSTOMER))
    assert problem(reply) == (403, "forbidden")


def test_it_is_ready_without_its_provider_and_serves_its_openapi_document(client: FlaskClient) -> None:
    assert answer(client.get("/readyz"), 200)["checks"] == ["postgres"]
    document = answer(client.get("/openapi.json"), 200)
    assert {PAYMENTS, PAYMENTS + "/{payment_id}", PAYMENTS + "/{payment_id}/refunds"} <= set(document["paths"])


def test_an_operator_re_checks_a_payment(client: FlaskClient, resources: Resources) -> None:
    order = new_order()
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), order)
    path = f"{PAYMENTS}/{payment_of(resources.engine, order).id}/re-check"
    assert problem(client.post(path, headers=bearer(sub=CUSTOMER))) == (403, "forbidden")
    assert problem(client.post(f"{PAYMENTS}/{new_id()}/re-check", headers=operator())) == (404, "not_found")
    for _ in range(2):
        assert answer(client.post(path, headers=operator()), 200)["status"] == "captured"
    assert payment_of(resources.engine, order).version == 1
