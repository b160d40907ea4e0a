"""P1 to P5, checked on an idle shop by its rows and the provider's ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.inventory.domain import Status as Reserved
from services.orders.domain import OPEN
from services.orders.domain import Status as Ordered
from services.payments.domain import RefundKind, RefundStatus
from tests.schedules.simulation import PRICE, SKU, STOCK

if TYPE_CHECKING:
    from tests.schedules.shop import Shop


def broken(shop: Shop, *, settled: bool) -> list[str]:
    """The violations of this shop as text; empty if every promise holds."""
    found = list(shop.refused)
    if not settled:
        found.append("P1: it does not come to rest")
    found += _stock(shop)
    for number, order_id in enumerate(shop.placed):
        if ("reservations", order_id) not in shop.inventory.rows or ("payments", order_id) not in shop.payments.rows:
            found.append(f"order {number}: P5: a consumer never received it")
            continue
        found += [f"order {number}: {what}" for what in (*_order(shop, order_id), *_numbers(shop, order_id))]
    return found


def _order(shop: Shop, order_id: str) -> list[str]:
    order = shop.orders.rows["orders", order_id]
    reservation = shop.inventory.rows["reservations", order_id].status
    payment = shop.payments.rows["payments", order_id]
    captured, refunded = shop.provider.captured(order_id), shop.provider.refunded(order_id)
    wished = sum(
        refund.amount
        for refund in shop.payments.all("refunds")
        if refund.payment_id == order_id
        and refund.kind is RefundKind.OPERATOR
        and refund.status is RefundStatus.SUCCEEDED
    )
    elsewhere = sum(each.amount for each in shop.payments.all("external_refunds") if each.payment_id == order_id)
    confirmed = order.status is Ordered.CONFIRMED
    rules = {
        "P1: is open": order.status not in OPEN,
        "P2: has more than one capture": shop.provider.captures(order_id) <= 1,
        "P3: is confirmed, and its stock not sold": not confirmed or reservation is Reserved.SOLD,
        "P3: is cancelled, and its stock not free": confirmed or reservation not in {Reserved.HELD, Reserved.SOLD},
        "P4: is confirmed, and its money not there": not confirmed or captured - refunded == PRICE - wished,
        "P4: is cancelled, and its money not returned": confirmed or captured == refunded + elsewhere,
        "P4: the row and the provider differ": payment.refunded == refunded + elsewhere
        and payment.refunded_elsewhere == elsewhere
        and payment.remaining == captured - refunded - elsewhere,
    }
    return [what for what, holds in rules.items() if not holds]


def _stock(shop: Shop) -> list[str]:
    stock = shop.inventory.rows["stock", SKU]
    held = sum(each.status is Reserved.HELD for each in shop.inventory.all("reservations"))
    sold = sum(each.status is Reserved.SOLD for each in shop.inventory.all("reservations"))
    right = (stock.on_hand, stock.reserved, stock.sold) == (STOCK - sold, held, sold)
    return [] if right and 0 <= stock.reserved <= stock.on_hand else [f"P3: stock is {stock}"]


def _numbers(shop: Shop, order_id: str) -> list[str]:
    versions = {
        "/services/orders": shop.orders.rows["orders", order_id].version,
        "/services/inventory": shop.inventory.rows["reservations", order_id].version,
        "/services/payments": shop.payments.rows["payments", order_id].version,
    }
    return [
        f"P5: {source} has events {sorted(numbers)} and shows version {version}"
        for source, version in versions.items()
        if (numbers := {number for name, subject, number in shop.archive if (name, subject) == (source, order_id)})
        != set(range(1, version + 1))
    ]
