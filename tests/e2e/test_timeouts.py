"""An order beyond its time-out is cancelled and compensated, also with a late capture, but not during an outage."""

import time

import pytest
import requests

from infrastructure.local.stack import Stack
from tests.e2e.auditing import assert_kept
from tests.e2e.breaking import Saboteur
from tests.e2e.shop import PAYMENT_SECONDS, PAYMENTS, TRIES, Customer, Json, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SWEEPS_SECONDS = 5


def aged_during_its_capture(stack: Stack, shop: Shop, customer: Customer, sku: str) -> Json:
    """Place an order, let its time-out pass during its capture, and wait until it is settled."""
    slow = {"kind": "latency", "seconds": 4.5, "match": {"operation": "confirm"}, "remaining": 1}
    requests.post(f"{stack.urls.http('sandbox')}/faults", json=slow, timeout=60).raise_for_status()
    placed = place(customer, {sku: 1})
    eventually(lambda: shop.order(placed["id"])["status"], lambda status: status != "pending")
    Saboteur(stack).order_aged(placed["id"])
    return shop.settled(placed["id"])


def test_an_order_timed_out_during_its_capture_keeps_no_money(stack: Stack, shop: Shop, customer: Customer) -> None:
    # The services wait five seconds for a capture. On a busy machine the time-out may come later than that.
    for _ in range(TRIES):
        sku = shop.product(on_hand=5)
        placed = aged_during_its_capture(stack, shop, customer, sku)
        if placed["status"] == "cancelled":
            break

    shop.ended(placed["id"], "cancelled", "timed_out")
    eventually(lambda: shop.stock(sku), lambda stock: (stock["on_hand"], stock["reserved"]) == (5, 0))
    payment = eventually(
        lambda: shop.operator.get(PAYMENTS, order_id=placed["id"]).json()["data"][0],
        lambda payment: payment["status"] in {"cancelled", "refunded"},
        seconds=PAYMENT_SECONDS,
    )
    assert payment["refunded"]["amount"] in {0, placed["total"]["amount"]}
    assert_kept(stack)


def test_no_order_times_out_while_a_worker_is_down(stack: Stack, shop: Shop, customer: Customer) -> None:
    sku = shop.product(on_hand=5)
    stack.stop("worker-payments")
    placed = place(customer, {sku: 1})
    eventually(lambda: shop.order(placed["id"])["status"], lambda status: status == "reserved")
    Saboteur(stack).order_aged(placed["id"])
    time.sleep(SWEEPS_SECONDS)
    assert shop.order(placed["id"])["status"] == "reserved"
    stack.start("worker-payments")
    shop.settled(placed["id"])
    assert_kept(stack)
