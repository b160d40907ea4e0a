"""Every path of an order from its request to its final state, with the effects on stock, money and events."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from infrastructure.local.stack import Stack
from tests.e2e.api import answer, problem
from tests.e2e.shop import (
    CONFIRMED,
    DECLINED,
    ORDERS,
    PAYMENT_SECONDS,
    PAYMENTS,
    Customer,
    Shop,
    cancel_during_charge,
    place,
)
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def amounts(stock: dict[str, Any]) -> tuple[int, int, int]:
    return stock["on_hand"], stock["reserved"], stock["sold"]


def test_an_order_is_confirmed(shop: Shop, customer: Customer) -> None:
    sku = shop.product(on_hand=5, price=1250)
    placed = place(customer, {sku: 2})
    assert (placed["status"], placed["version"], placed["total"]) == ("pending", 1, {"amount": 2500, "currency": "usd"})
    assert placed["items"] == [{"sku": sku, "quantity": 2, "unit_price": {"amount": 1250, "currency": "usd"}}]

    order = shop.ended(placed["id"], "confirmed")
    assert order == {**placed, "status": "confirmed", "version": 2}
    payment = shop.payment(placed["id"], "captured")
    assert payment["amount"] == placed["total"]
    assert payment["refunded"] == {"amount": 0, "currency": "usd"}
    assert amounts(eventually(lambda: shop.stock(sku), lambda stock: stock["sold"] == 2)) == (3, 0, 2)


def test_the_timeline_shows_the_steps_of_a_confirmed_order(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(): 1})
    timeline = shop.await_events(placed["id"], *CONFIRMED)
    assert [entry["type"] for entry in timeline] == list(CONFIRMED)
    assert [entry["sequence"] for entry in timeline] == [1, 1, 1, 2, 2]
    assert all(entry["delay_seconds"] >= 0 and entry["summary"] for entry in timeline)
    assert [entry["time"] for entry in timeline] == sorted(entry["time"] for entry in timeline)
    assert all(entry["data"]["order_id"] == placed["id"] for entry in timeline)
    assert answer(customer.api.get(f"{ORDERS}/{placed['id']}/timeline"))["data"] == timeline


@pytest.mark.parametrize(
    ("method", "code"),
    [
        (DECLINED, "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_authenticationRequired", "authentication_required"),
        ("pm_card_that_nobody_has", "resource_missing"),
    ],
)
def test_a_declined_order_is_cancelled(shop: Shop, customer: Customer, method: str, code: str) -> None:
    sku = shop.product(on_hand=5)
    placed = place(customer, {sku: 2}, method)
    shop.ended(placed["id"], "cancelled", "payment_declined")
    assert shop.payment(placed["id"], "declined")["decline_code"] == code
    shop.await_events(
        placed["id"],
        "order.placed.v1", "stock.reserved.v1", "payment.declined.v1", "order.cancelled.v1", "stock.released.v1",
    )  # fmt: skip
    assert amounts(shop.stock(sku)) == (5, 0, 0)


def test_an_amount_below_the_providers_minimum_is_rejected(shop: Shop, customer: Customer) -> None:
    body = {"items": [{"sku": shop.product(price=1), "quantity": 1}], "payment_method": "pm_card_visa"}
    reply = customer.api.post("/api/v1/orders", body, key=str(uuid.uuid4()))
    assert (reply.status_code, reply.json()["code"]) == (422, "total_too_small")


def test_an_out_of_stock_order_reserves_no_item(shop: Shop, customer: Customer) -> None:
    plenty, scarce = shop.product(on_hand=10), shop.product(on_hand=1)
    placed = place(customer, {plenty: 3, scarce: 2})
    shop.ended(placed["id"], "cancelled", "out_of_stock")
    assert amounts(shop.stock(plenty)) == (10, 0, 0)
    assert amounts(shop.stock(scarce)) == (1, 0, 0)
    assert shop.payment(placed["id"], "cancelled")["refunded"]["amount"] == 0
    timeline = shop.await_events(placed["id"], "order.placed.v1", "stock.rejected.v1", "order.cancelled.v1")
    assert timeline[1]["data"]["sku"] == scarce


def test_the_last_piece_is_sold_once_to_two_customers(shop: Shop) -> None:
    sku = shop.product(on_hand=1)
    customers = [shop.customer(), shop.customer()]
    with ThreadPoolExecutor(2) as executor:
        placed = list(executor.map(lambda one: place(one, {sku: 1}), customers))
    ends = sorted(shop.settled(order["id"])["status"] for order in placed)
    assert ends == ["cancelled", "confirmed"]
    assert amounts(eventually(lambda: shop.stock(sku), lambda stock: stock["sold"] == 1)) == (0, 0, 1)


@pytest.fixture
def faults(stack: Stack) -> Iterator[str]:
    """The address of the sandbox's faults, which are removed afterwards."""
    url = f"{stack.urls.http('sandbox')}/faults"
    yield url
    requests.delete(url, timeout=60).raise_for_status()


def test_an_order_cancelled_during_its_capture_keeps_no_money(shop: Shop, customer: Customer, faults: str) -> None:
    slow = {"kind": "latency", "seconds": 3, "match": {"operation": "confirm"}, "remaining": 1}
    cancelled = cancel_during_charge(shop, customer, faults, slow)
    assert (cancelled["status"], cancelled["cancel_reason"]) == ("cancelled", "customer_request")
    assert answer(customer.api.post(f"{ORDERS}/{cancelled['id']}/cancel")) == cancelled
    [item] = cancelled["items"]
    stock = eventually(lambda: shop.stock(item["sku"]), lambda stock: stock["reserved"] == 0)
    assert amounts(stock) == (100, 0, 0)
    payment = eventually(
        lambda: answer(shop.operator.get(PAYMENTS, order_id=cancelled["id"]))["data"][0],
        lambda payment: payment["status"] in {"cancelled", "refunded"},
        seconds=PAYMENT_SECONDS,
    )
    assert payment["refunded"]["amount"] in {0, cancelled["total"]["amount"]}
    assert shop.order(cancelled["id"]) == cancelled


def test_a_confirmed_order_is_not_cancellable(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(): 1})
    order = shop.ended(placed["id"], "confirmed")
    assert problem(customer.api.post(f"{ORDERS}/{placed['id']}/cancel")) == (409, "order_not_cancellable")
    assert problem(shop.operator.post(f"{ORDERS}/{placed['id']}/cancel")) == (409, "order_not_cancellable")
    assert shop.order(placed["id"]) == order


def test_operators_refund_in_parts_up_to_the_captured_amount(shop: Shop, customer: Customer) -> None:
    placed = place(customer, {shop.product(price=1000): 3})
    shop.ended(placed["id"], "confirmed")
    payment = shop.payment(placed["id"], "captured")
    refunds = f"{PAYMENTS}/{payment['id']}/refunds"
    part = {"amount": {"amount": 1000, "currency": "usd"}, "reason": "one was broken"}

    assert problem(customer.api.post(refunds, part, key=str(uuid.uuid4()))) == (403, "forbidden")
    first = answer(shop.operator.post(refunds, part, key=str(uuid.uuid4())), 201)
    assert (first["amount"]["amount"], first["refunded"]["amount"], first["status"]) == (1000, 1000, "succeeded")
    assert shop.payment(placed["id"], "partially_refunded")["refunded"]["amount"] == 1000
    too_much = {"amount": {"amount": 2001, "currency": "usd"}, "reason": "greed"}
    assert problem(shop.operator.post(refunds, too_much, key=str(uuid.uuid4()))) == (409, "amount_exceeds_remaining")
    euros = {"amount": {"amount": 1, "currency": "eur"}, "reason": "another currency"}
    assert problem(shop.operator.post(refunds, euros, key=str(uuid.uuid4()))) == (422, "currency_mismatch")
    rest = answer(shop.operator.post(refunds, {"reason": "the others too"}, key=str(uuid.uuid4())), 201)
    assert rest["amount"]["amount"] == 2000
    assert shop.payment(placed["id"], "refunded")["refunded"]["amount"] == 3000
    again = shop.operator.post(refunds, {"reason": "once more"}, key=str(uuid.uuid4()))
    assert problem(again) == (409, "payment_not_refundable")
    timeline = eventually(lambda: shop.timeline(placed["id"]), lambda entries: len(entries) == 7)
    assert [entry["type"] for entry in timeline].count("payment.refunded.v1") == 2
