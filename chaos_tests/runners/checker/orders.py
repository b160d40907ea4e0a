"""P1, P2 and P4, checked by a history: responses against the final state. Pure.

`holdfast.audit.promises` compares the sources with each other; here they are compared with requests and responses of
clients.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from holdfast.audit.views import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_tests.runners.checker.operations import Operations, Purchase, Sight
    from chaos_tests.runners.checker.snapshot import Snapshot
    from holdfast.audit.views import OrderView

FINAL = frozenset({"confirmed", "cancelled"})

Body = tuple[str, frozenset[tuple[str, int]], str]


def accepted_orders_exist(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    """P1: accepted orders exist, were never missing, never went back, and keep their observed end."""
    for purchase in known.purchases.values():
        for order_id in purchase.ids:
            if order_id not in snapshot.orders:
                yield Finding("P1", order_id, f"accepted (key {purchase.key}), but the system does not know it")
    for order_id, sight in known.sights.items():
        view = snapshot.orders.get(order_id)
        if sight.missing and sight.seen and max(sight.missing) > min(seen[1] for seen in sight.seen):
            yield Finding("P1", order_id, f"not found {len(sight.missing)} times although it had been accepted")
        if view is not None and view.order is not None:
            yield from _went_on(order_id, sight, view)


def _went_on(order_id: str, sight: Sight, view: OrderView) -> Iterator[Finding]:
    newest, ended = 0, ""
    last_answered = 0.0
    for sent, answered, status, version, _ in sorted(sight.seen):
        if sent >= last_answered and version < newest:
            yield Finding("P1", order_id, f"seen at version {newest}, later at version {version}")
        if ended and status in FINAL and status != ended:
            yield Finding("P2", order_id, f"seen {ended}, and then {status}")
        newest, ended = max(newest, version), status if status in FINAL else ended
        last_answered = max(last_answered, answered)
    assert view.order is not None
    if ended and view.status != ended:
        yield Finding("P1", order_id, f"seen {ended}, but it is {view.status} in the end")
    if view.order["version"] < newest:
        yield Finding("P1", order_id, f"seen at version {newest}, but it is at {view.order['version']} in the end")


def cancelled_is_final(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    """P1: a successful cancellation holds."""
    for order_id in known.cancelled:
        view = snapshot.orders.get(order_id)
        if view is not None and view.order is not None and view.status != "cancelled":
            yield Finding("P1", order_id, f"its cancellation was answered with success, but it is {view.status}")


def one_key_one_order(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    """P2: every order comes from one purchase, and every purchase has at most one order."""
    owner: dict[str, str] = {}
    for purchase in known.purchases.values():
        if len(purchase.ids) > 1:
            yield Finding("P2", min(purchase.ids), f"key {purchase.key} was answered with {len(purchase.ids)} orders")
        for order_id in purchase.ids:
            if order_id in owner:
                yield Finding("P2", order_id, f"keys {owner[order_id]} and {purchase.key} were answered with one order")
            owner[order_id] = purchase.key
    yield from _unexplained(known, snapshot, owner)


def _unexplained(known: Operations, snapshot: Snapshot, owner: dict[str, str]) -> Iterator[Finding]:
    """Orders without a response: each must belong to a purchase in doubt."""
    unknown = [view for view in snapshot.orders.values() if view.id not in owner and view.order is not None]
    if not unknown:
        return
    names = {customer_id: name for name, customer_id in known.run["customers"].items()}
    purchases: dict[Body, list[Purchase]] = defaultdict(list)
    for purchase in known.purchases.values():
        purchases[purchase.process, frozenset(purchase.basket.items()), purchase.payment_method].append(purchase)
    for view in unknown:
        yield from _claimed(view, purchases[_body(view, names)])


def _claimed(view: OrderView, purchases: list[Purchase]) -> Iterator[Finding]:
    open_purchase = next((purchase for purchase in purchases if purchase.in_doubt and not purchase.ids), None)
    if open_purchase is not None:
        open_purchase.ids[view.id] = -1
    elif not purchases:
        yield Finding("P2", view.id, "nobody has placed this order")
    elif any(purchase.ids for purchase in purchases):
        purchase = next(purchase for purchase in purchases if purchase.ids)
        yield Finding("P2", view.id, f"a second order for key {purchase.key}, which has {min(purchase.ids)}")
    else:
        yield Finding("P2", view.id, f"key {purchases[0].key} was refused, but the order is there")


def _body(view: OrderView, names: dict[str, str]) -> Body:
    assert view.order is not None
    items = frozenset((item["sku"], item["quantity"]) for item in view.order["items"])
    return names.get(view.order["customer_id"], ""), items, view.order["payment_method"]


def money_as_agreed(known: Operations, snapshot: Snapshot) -> Iterator[Finding]:
    """P4: the total is the sum of the prices, and no declining card was charged."""
    prices = {product["sku"]: product["amount"] for product in known.run["products"]}
    for purchase in known.purchases.values():
        total = sum(prices[sku] * quantity for sku, quantity in purchase.basket.items())
        for order_id, answered in purchase.ids.items():
            view = snapshot.orders.get(order_id)
            if view is None or view.order is None:
                continue
            if view.order["total"]["amount"] != total or answered not in {total, -1}:
                shown = view.order["total"]["amount"] if answered in {total, -1} else answered
                yield Finding("P4", order_id, f"its items cost {total}, but its total is {shown}")
            if purchase.intent == "declined" and view.status == "confirmed":
                yield Finding("P4", order_id, "confirmed, though its card declines every charge")
