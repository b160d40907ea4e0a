"""Reading the witnesses: the API through the gateway, the provider's ledger, the broker's management API."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests
import stripe

from holdfast.audit.views import INVENTORY, OPEN, ArchivedEvent, Charge, OrderView, ProductView, Reading
from holdfast.client import ApiError, Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEAD_LETTERS = "operations.dead-letters"
LEDGER_PAGE = 100
RECENT_SECONDS = 5


class Ledger:
    """The payment provider's own books, by Stripe's API."""

    def __init__(self, key: str, url: str | None) -> None:
        http = stripe.RequestsClient(timeout=15)
        self._stripe = stripe.StripeClient(key, base_addresses={"api": url} if url else {}, http_client=http)

    def charges(self) -> list[Charge]:
        """Every intent that names an order."""
        refunded: Counter[str] = Counter()
        for refund in self._stripe.v1.refunds.list({"limit": LEDGER_PAGE}).auto_paging_iter():
            if refund.status != "failed" and refund.payment_intent:
                refunded[_id(refund.payment_intent)] += refund.amount
        intents = self._stripe.v1.payment_intents.list({"limit": LEDGER_PAGE}).auto_paging_iter()
        return [_charge(intent, refunded[intent.id]) for intent in intents if "order_id" in (intent.metadata or {})]

    def charge(self, intent_id: str) -> Charge:
        refunds = self._stripe.v1.refunds.list({"payment_intent": intent_id, "limit": LEDGER_PAGE})
        refunded = sum(refund.amount for refund in refunds.auto_paging_iter() if refund.status != "failed")
        return _charge(self._stripe.v1.payment_intents.retrieve(intent_id), refunded)


class Reader:
    """Puts the views together. `management_url` is the broker's management API, with its credentials in it."""

    def __init__(self, client: Client, ledger: Ledger, management_url: str) -> None:
        self._client, self._ledger, self._management_url = client, ledger, management_url

    def read(self, progress: Callable[[str], None]) -> Reading:
        """All of it. What moves is read first and again later, so a finished order is seen with all that it caused."""
        progress("orders")
        orders = {order["id"]: order for order in self._client.all("/api/v1/orders")}
        progress("payments")
        payments = {payment["order_id"]: payment for payment in self._client.all("/api/v1/payments")}
        progress("the provider's ledger")
        charges: dict[str, list[Charge]] = defaultdict(list)
        for charge in self._ledger.charges():
            charges[charge.order_id].append(charge)
        progress("stock")
        # While orders are open, one that has just settled may be read before its stock is, or after.
        busy = any(order["status"] in OPEN for order in orders.values())
        settled_before = _ago(RECENT_SECONDS if busy else 0)
        products = {product["sku"]: product for product in self._client.all("/api/v1/products")}
        progress("the archive")
        events = [_event(event) for event in self._client.all("/api/v1/events")]
        by_subject: dict[str, list[ArchivedEvent]] = defaultdict(list)
        for event in events:
            by_subject[event.subject].append(event)
        told = {event.subject for event in events if event.type.startswith("order.")}
        views = {
            order_id: OrderView(
                id=order_id,
                order=orders.get(order_id),
                payment=payments.get(order_id),
                charges=tuple(charges.get(order_id, ())),
                events=tuple(by_subject.get(order_id, ())),
            )
            for order_id in {*orders, *payments, *charges, *told}
        }
        progress("queues")
        dead, waiting = self._queues()
        return Reading(
            views, _product_views(products, by_subject, views.values(), settled_before), len(events), dead, waiting
        )

    def read_order(self, view: OrderView) -> OrderView:
        """The same order, now: the order first, then what it must have caused."""
        order = self._order(view.id)
        payments = self._client.get("/api/v1/payments", order_id=view.id)["data"]
        payment = payments[0] if payments else None
        intents = {charge.id for charge in view.charges}
        if payment and payment["provider_id"]:
            intents.add(payment["provider_id"])
        charges = tuple(self._ledger.charge(intent) for intent in sorted(intents))
        events = tuple(_event(event) for event in self._client.all("/api/v1/events", subject=view.id))
        return OrderView(view.id, order, payment, charges, events)

    def _order(self, order_id: str) -> dict[str, Any] | None:
        try:
            order: dict[str, Any] = self._client.get(f"/api/v1/orders/{order_id}")
        except ApiError as error:
            if error.status == requests.codes.not_found:
                return None
            raise
        return order

    def _queues(self) -> tuple[int, int]:
        """Dead letters, and messages still on their way."""
        reply = requests.get(f"{self._management_url}/api/queues", params={"columns": "name,messages"}, timeout=10)
        reply.raise_for_status()
        counts = {queue["name"]: queue.get("messages", 0) for queue in reply.json()}
        dead = counts.get(DEAD_LETTERS, 0)
        ours = (n for name, n in counts.items() if name.endswith(".events") or name.startswith("holdfast."))
        return dead, sum(ours)


def _product_views(
    products: dict[str, dict[str, Any]],
    by_subject: dict[str, list[ArchivedEvent]],
    orders: Iterable[OrderView],
    settled_before: str,
) -> dict[str, ProductView]:
    sold: Counter[str] = Counter()
    moving: Counter[str] = Counter()
    for view in orders:
        if view.is_moving(settled_before):
            moving.update(view.quantities())
        elif view.status == "confirmed":
            sold.update(view.quantities())
    return {
        sku: ProductView(
            sku=sku,
            product=product,
            events=tuple(event for event in by_subject.get(sku, ()) if event.source == INVENTORY),
            sold_by_orders=sold[sku],
            moving=moving[sku],
        )
        for sku, product in products.items()
    }


def _charge(intent: Any, refunded: int) -> Charge:
    values = intent.to_dict()
    captured = values["amount_received"] if values["status"] == "succeeded" else 0
    return Charge(values["id"], (values["metadata"] or {}).get("order_id", ""), captured, refunded, values["currency"])


def _event(document: dict[str, Any]) -> ArchivedEvent:
    wanted = ("id", "type", "source", "subject", "sequence", "time", "data")
    return ArchivedEvent(**{name: document[name] for name in wanted})


def _ago(seconds: float) -> str:
    """RFC 3339 as events write it; a little in the future for 0, so that whatever has happened counts."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds or -60)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _id(value: Any) -> str:
    return value if isinstance(value, str) else str(value.id)
