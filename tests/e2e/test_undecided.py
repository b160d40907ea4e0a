"""An undecided charge: its order times out, and a late capture is refunded."""

from collections.abc import Iterator

import pytest
import requests

from infrastructure.local.stack import Stack
from tests.e2e.auditing import assert_kept
from tests.e2e.breaking import Saboteur
from tests.e2e.shop import Customer, Shop, place
from tests.e2e.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def faults(stack: Stack) -> Iterator[str]:
    url = f"{stack.urls.http('sandbox')}/faults"
    yield url
    requests.delete(url, timeout=60).raise_for_status()


def test_an_order_times_out_while_its_charge_is_undecided_and_a_late_capture_is_refunded(
    stack: Stack, shop: Shop, customer: Customer, faults: str
) -> None:
    undecided = {"kind": "undecided", "match": {"operation": "confirm"}, "remaining": 1}
    requests.put(faults, json=[undecided], timeout=60).raise_for_status()
    placed = place(customer, {shop.product(): 1})
    eventually(lambda: requests.get(faults, timeout=60).json()["data"][0]["struck"] == 1)
    others = [place(customer, {shop.product(): 1}) for _ in range(3)]
    for other in others:
        shop.ended(other["id"], "confirmed")  # no request waits for the first one
    Saboteur(stack).order_aged(placed["id"])
    shop.ended(placed["id"], "cancelled", "timed_out")

    requests.delete(faults, timeout=60).raise_for_status()  # the charge now succeeds
    shop.payment(placed["id"], "refunded")
    assert_kept(stack)
