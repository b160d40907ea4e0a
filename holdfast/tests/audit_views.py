"""Audit views of orders and products, with and without broken promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.audit.promises import check_order
from holdfast.audit.views import INVENTORY, ORDERS, PAYMENTS, ArchivedEvent, Charge, OrderView, ProductView

ID, SKU = "01a2039b-b6ce-7471-93d9-eda743a76a46", "TEA-1"


USD = "usd"


CONFIRMED = [
    (ORDERS, "order.placed.v1", 1),
    (INVENTORY, "stock.reserved.v1", 1),
    (PAYMENTS, "payment.captured.v1", 1),
    (ORDERS, "order.confirmed.v1", 2),
    (INVENTORY, "stock.sold.v1", 2),
]


DECLINED = [
    (ORDERS, "order.placed.v1", 1),
    (INVENTORY, "stock.reserved.v1", 1),
    (PAYMENTS, "payment.declined.v1", 1),
    (ORDERS, "order.cancelled.v1", 2),
    (INVENTORY, "stock.released.v1", 2),
]


REFUSED = [(ORDERS, "order.placed.v1", 1), (INVENTORY, "stock.rejected.v1", 1), (ORDERS, "order.cancelled.v1", 2)]


def events(*history: tuple[str, str, int], subject: str = ID, **data: Any) -> tuple[ArchivedEvent, ...]:
    return tuple(
        ArchivedEvent(f"{number}", kind, source, subject, sequence, f"2026-11-22T14:00:0{number}.000000Z", data)
        for number, (source, kind, sequence) in enumerate(history)
    )


def order(status: str, reason: str | None = None, version: int = 2) -> dict[str, Any]:
    total = {"amount": 2500, "currency": USD}
    items = [{"sku": SKU, "quantity": 2}]
    created_at = "2026-11-22T14:00:00.000000Z"
    return {
        "id": ID, "status": status, "cancel_reason": reason, "total": total, "items": items, "version": version,
        "created_at": created_at,
    }  # fmt: skip


def payment(status: str, refunded: int = 0, version: int = 1) -> dict[str, Any]:
    return {"status": status, "refunded": {"amount": refunded, "currency": USD}, "version": version}


def charge(captured: int, refunded: int = 0, currency: str = USD, name: str = "pi_1") -> Charge:
    return Charge(name, ID, captured, refunded, currency)


GOOD = OrderView(ID, order("confirmed"), (payment("captured"),), (charge(2500),), events(*CONFIRMED))


CANCELLED = OrderView(
    ID, order("cancelled", "payment_declined"), (payment("declined"),), (charge(0),), events(*DECLINED)
)


REJECTED = OrderView(ID, order("cancelled", "out_of_stock"), (payment("cancelled", version=0),), (), events(*REFUSED))


def broken(view: OrderView) -> list[str]:
    found = check_order(view)
    assert all(finding.subject == ID and finding.text for finding in found)
    return [finding.promise for finding in found]


LISTED = events((INVENTORY, "product.listed.v1", 1), subject=SKU) + tuple(
    replace(event, sequence=2) for event in events((INVENTORY, "stock.adjusted.v1", 2), subject=SKU, delta=10)
)


def shelf(sold_by_orders: int = 2, moving: int = 0, **changes: Any) -> ProductView:
    """Ten received, two sold, unless changed."""
    product = {"on_hand": 8, "reserved": 0, "available": 8, "sold": 2, "version": 2} | changes
    return ProductView(SKU, product, LISTED, sold_by_orders, moving)
