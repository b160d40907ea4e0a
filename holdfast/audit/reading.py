"""Reads the sources: the API through the gateway, the provider's ledger, the broker's management API."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests

from holdfast.audit import webhooks
from holdfast.audit.backlog import Backlog, backlog
from holdfast.audit.promises import check_letter
from holdfast.audit.views import INVENTORY, OPEN, ArchivedEvent, OrderView, ProductView, Reading
from holdfast.client import ApiError, Client
from holdfast.management import call_management_api
from infrastructure.privileges import DEAD_LETTERS_QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from holdfast.audit.ledger import Ledger
    from holdfast.audit.webhooks import EndpointView

# Neither replayed nor discarded.
OPEN_LETTERS = ("filed", "replaying")
PRODUCT_LISTED = "product.listed.v1"
RECENT_SECONDS = 5
OVERLAP = 100  # ids are created shortly before their orders are written: the list ends after this many older orders
END_OF_TIME = "9999-12-31T23:59:59.999999Z"


class Reader:
    """Builds the views. `management_url` is the broker's management API with credentials."""

    def __init__(self, client: Client, ledger: Ledger, management_url: str) -> None:
        self._client, self._ledger, self._management_url = client, ledger, management_url

    def read(self, progress: Callable[[str], None]) -> Reading:
        """Read everything. Causes are read before their effects, so that no effect is missed."""
        progress("orders")
        horizon = self._newest_event_time()
        orders = {order["id"]: order for order in self._client.all("/api/v1/orders")}
        progress("payments")
        payments: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for payment in self._client.all("/api/v1/payments"):
            payments[payment["order_id"]].append(payment)
        progress("the provider's ledger")
        charges = self._ledger.charges()
        progress("stock")
        products = {product["sku"]: product for product in self._client.all("/api/v1/products")}
        newer = self._orders_since(orders)
        progress("the archive")
        events: dict[str, list[ArchivedEvent]] = defaultdict(list)
        for document in self._client.all("/api/v1/events"):
            events[document["subject"]].append(_event(document))
        seen = {subject for subject, known in events.items() if any(e.type.startswith("order.") for e in known)}

        def view(key: str, order: dict[str, Any] | None) -> OrderView:
            found = tuple(payments.get(key, ())), tuple(charges.get(key, ())), tuple(events.get(key, ()))
            return OrderView(key, order, *found)

        views = {key: view(key, orders.get(key)) for key in {*orders, *payments, *charges, *seen}}
        coming = {key: view(key, order) for key, order in newer.items()}
        # While orders are in progress, a just settled one may be read before or after its stock.
        busy = bool(newer) or any(order["status"] in OPEN for order in orders.values())
        settled_before = _earlier(horizon, RECENT_SECONDS) if busy else END_OF_TIME
        shelves = _product_views(products, events, (views | coming).values(), settled_before)
        progress("queues")
        unfiled, waiting = self._queues()
        letters = [each for status in OPEN_LETTERS for each in self._client.all("/api/v1/dead-letters", status=status)]
        progress("webhooks")
        owners = {key: str(order["customer_id"]) for key, order in (orders | newer).items()}
        endpoints = webhooks.read_endpoints(self._client, [each for known in events.values() for each in known], owners)
        checked = {key: known for key, known in views.items() if not _was_placed_during_reading(known, horizon)}
        return Reading(
            orders=checked,
            products=shelves,
            events=sum(map(len, events.values())),
            dead_letters=len(letters),
            waiting_messages=waiting,
            unfiled_letters=unfiled,
            endpoints=endpoints,
            owners=owners,
            outage_letters=tuple(finding for letter in letters for finding in check_letter(letter)),
        )

    def read_endpoints_again(self, views: Iterable[EndpointView], owners: Mapping[str, str]) -> dict[str, EndpointView]:
        """The same endpoints with their deliveries, now."""
        return webhooks.read_again(self._client, views, owners)

    def read_again(self, views: Iterable[OrderView]) -> dict[str, OrderView]:
        """The same orders, now: the orders first, then their effects."""
        old = {view.id: view for view in views}
        orders = {key: self._order(key) for key in old}
        payments = {key: tuple(self._client.all("/api/v1/payments", order_id=key)) for key in old}
        began = [view.began for view in old.values()]
        charges = self._ledger.charges(min(filter(None, began)) if began and all(began) else None) if old else {}
        events = {key: tuple(map(_event, self._client.all("/api/v1/events", subject=key))) for key in old}
        return {
            key: OrderView(key, orders[key], payments[key], tuple(charges.get(key, ())), events[key]) for key in old
        }

    def backlog(self) -> Backlog | None:
        """The backlog that the system reports."""
        return backlog(self._client.get("/api/v1/system"))

    def _order(self, order_id: str) -> dict[str, Any] | None:
        try:
            order: dict[str, Any] = self._client.get(f"/api/v1/orders/{order_id}")
        except ApiError as error:
            if error.status == requests.codes.not_found:
                return None
            raise
        return order

    def _orders_since(self, known: Collection[str]) -> dict[str, dict[str, Any]]:
        """Orders placed since the others were listed. The newest are listed first."""
        newer, old = {}, 0
        for order in self._client.all("/api/v1/orders"):
            if order["id"] in known:
                old += 1
                if old >= OVERLAP:
                    break
            else:
                newer[order["id"]] = order
        return newer

    def _newest_event_time(self) -> str:
        """The archive's newest time, so that only the system's own clocks are compared; empty if there is none."""
        newest = self._client.get("/api/v1/events", limit=1)["data"]
        return str(newest[0]["time"]) if newest else ""

    def _queues(self) -> tuple[int, int]:
        """Dead letters that are not stored yet, and messages in flight."""
        reply = call_management_api(self._management_url, "/api/queues", params={"columns": "name,messages"})
        reply.raise_for_status()
        counts = {queue["name"]: queue.get("messages", 0) for queue in reply.json()}
        unfiled = counts.get(DEAD_LETTERS_QUEUE, 0)
        ours = (n for name, n in counts.items() if name.endswith(".events") or name.startswith("holdfast."))
        return unfiled, sum(ours)


def _product_views(
    products: dict[str, dict[str, Any]],
    events: dict[str, list[ArchivedEvent]],
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
    listed = {sku for sku, known in events.items() if any(event.type == PRODUCT_LISTED for event in known)}
    return {
        sku: ProductView(
            sku=sku,
            product=products.get(sku),
            events=tuple(event for event in events.get(sku, ()) if event.source == INVENTORY),
            sold_by_orders=sold[sku],
            moving=moving[sku],
        )
        for sku in {*products, *listed}
    }


def _event(document: dict[str, Any]) -> ArchivedEvent:
    names = ("id", "type", "source", "subject", "sequence", "time", "data")
    return ArchivedEvent(**{name: document[name] for name in names})


def _was_placed_during_reading(view: OrderView, horizon: str) -> bool:
    """Whether the order was placed during the reading."""
    return view.order is None and bool(view.events) and all(event.time > horizon for event in view.events)


def _earlier(moment: str, seconds: float) -> str:
    """RFC 3339, as events write it."""
    if not moment:
        return moment
    earlier = datetime.fromisoformat(moment) - timedelta(seconds=seconds)
    return earlier.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
