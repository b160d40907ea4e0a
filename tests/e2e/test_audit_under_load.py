"""The audit runs while orders are placed: an open order is not a broken promise."""

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.auditing import audit
from tests.e2e.buyers import all_settled, buying
from tests.e2e.shop import ORDERS, PRODUCTS, Shop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
AUDITS = 2


def test_the_audit_stays_green_under_load(stack: Stack, shop: Shop) -> None:
    skus = [shop.product(on_hand=10_000) for _ in range(3)]
    with buying(shop, skus, number=3, pause_seconds=0.1) as buyers:
        for _ in range(AUDITS):
            buyers.wait_for_more(5)
            before = buyers.count
            done = audit(stack, settle_seconds=60)
            assert done.exit_code == 0, done.document["findings"]
            assert buyers.count > before, "no order was placed during the audit"
            shop.operator.post(f"{PRODUCTS}/{skus[0]}/stock-adjustments", {"delta": 5, "reason": "delivery"})
    all_settled(shop)
    assert shop.operator.get(ORDERS, limit=1).json()["data"]
