"""Eight clients place two hundred orders at once: each reaches a final state, and nothing is oversold."""

import random
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.api import answer, problem
from tests.e2e.auditing import assert_kept
from tests.e2e.buyers import all_settled
from tests.e2e.shop import DECLINED, ORDERS, VISA, Customer, Shop, place

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
CLIENTS, ORDERS_EACH = 8, 25
RARE_STOCK = 10
COMMON_STOCK = 1000


@dataclass(frozen=True)
class Plan:
    kind: str
    items: dict[str, int]

    @property
    def method(self) -> str:
        return DECLINED if self.kind == "declined" else VISA


def plans(common: list[str], rare: str) -> list[Plan]:
    """Most are confirmed, some declined, some cancelled in flight; the rare product is ordered 3 times its stock."""
    chance = random.Random(7)

    def basket() -> dict[str, int]:
        return {sku: chance.randint(1, 3) for sku in chance.sample(common, chance.randint(1, 3))}

    kinds = ["declined"] * 25 + ["cancelled"] * 25 + ["rare"] * RARE_STOCK * 3
    kinds += ["bought"] * (CLIENTS * ORDERS_EACH - len(kinds))
    chance.shuffle(kinds)
    return [Plan(kind, {rare: 1} if kind == "rare" else basket()) for kind in kinds]


def order(customer: Customer, plan: Plan) -> str:
    placed = place(customer, plan.items, plan.method, key=str(uuid.uuid4()))
    order_id: str = placed["id"]
    if plan.kind == "cancelled":
        reply = customer.api.post(f"{ORDERS}/{order_id}/cancel")
        if reply.status_code == 409:  # it was confirmed before the cancellation
            assert problem(reply) == (409, "order_not_cancellable")
        else:
            assert answer(reply)["status"] == "cancelled"
    return order_id


def order_all(customer: Customer, share: list[Plan]) -> dict[str, Plan]:
    """One client's orders, one after the other, by their ids."""
    return {order(customer, plan): plan for plan in share}


def test_two_hundred_concurrent_orders_settle_without_overselling(stack: Stack, shop: Shop) -> None:
    common, rare = [shop.product(on_hand=COMMON_STOCK) for _ in range(4)], shop.product(on_hand=RARE_STOCK)
    customers = [shop.customer() for _ in range(CLIENTS)]
    all_plans = plans(common, rare)
    with ThreadPoolExecutor(CLIENTS) as executor:
        shares = [all_plans[number::CLIENTS] for number in range(CLIENTS)]
        placed = list(executor.map(order_all, customers, shares))
    all_settled(shop)

    kinds = {order_id: plan.kind for share in placed for order_id, plan in share.items()}
    assert len(kinds) == CLIENTS * ORDERS_EACH
    ends = Counter((kind, shop.order(order_id)["cancel_reason"]) for order_id, kind in kinds.items())
    assert ends["declined", "payment_declined"] == 25
    assert ends["bought", None] == CLIENTS * ORDERS_EACH - 25 - 25 - RARE_STOCK * 3
    assert (ends["rare", None], ends["rare", "out_of_stock"]) == (RARE_STOCK, RARE_STOCK * 2)
    assert ends["cancelled", "customer_request"] + ends["cancelled", None] == 25
    assert ends["cancelled", "customer_request"] > 0

    assert_kept(stack)
    for sku, received in ((rare, RARE_STOCK), *((sku, COMMON_STOCK) for sku in common)):
        stock = shop.stock(sku)
        assert stock["reserved"] == 0
        assert stock["available"] == stock["on_hand"] == received - stock["sold"] >= 0
    assert shop.stock(rare)["sold"] == RARE_STOCK
