"""Collects the data of one run from the API, the provider's ledger and the archive, when the system is idle.

Mismatches are read again until they agree or time out, because a sweep may still repair something. It uses only public
interfaces. A run is identified by its customers and its SKUs; orders are searched from 15 minutes before the run, so
that clock jumps do not hide one.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests
import stripe

from chaos_tests.runners.checker.drain import drain
from chaos_tests.runners.checker.snapshot import Snapshot
from holdfast.audit import webhooks
from holdfast.audit.ledger import Ledger
from holdfast.audit.promises import check_order
from holdfast.audit.reading import Reader
from holdfast.audit.views import INVENTORY, OPEN, ArchivedEvent, OrderView, ProductView
from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdfast.audit.webhooks import EndpointView
    from holdfast.target import Target

EARLIER_SECONDS, STRAY_SECONDS = 900.0, 360.0
PAUSE_SECONDS, PATIENCE_SECONDS = 2.0, 600.0
# A single time-out among thousands of requests must not invalidate a whole run.
TROUBLE = (requests.RequestException, ApiError, stripe.StripeError)
NOT_FOUND = 404
EVENT = ("id", "type", "source", "subject", "sequence", "time", "data")


class Collector:
    """Reads the data of one run. `run` is the first record of its history."""

    def __init__(self, target: Target, run: dict[str, Any], progress: Callable[[str], None]) -> None:
        self._client, self._run, self._progress = target.operator(), run, progress
        self._ledger = Ledger(target.ledger_key, target.ledger_url)
        self._reader = Reader(self._client, self._ledger, target.management_url)
        self._since: float = run["wall"] - EARLIER_SECONDS
        self._customers = set(run["customers"].values())

    def collect_patiently(self, **words: Any) -> Snapshot:
        """Like `collect`, restarted as long as the system is too busy. Then raises the error."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.collect(**words)
            except TROUBLE as error:
                if time.monotonic() > deadline or _is_refusal(error):
                    raise
                self._progress(f"again: {error}"[:200])
                time.sleep(PAUSE_SECONDS)

    def collect(self, *, drain_seconds: float, settle_seconds: float, versions: dict[str, str]) -> Snapshot:
        """Wait, read, read again. Raises requests' exceptions, `ApiError` and Stripe's."""
        drained = drain(self._client, drain_seconds, self._progress)
        views = self._views()
        deadline = time.monotonic() + settle_seconds
        while (suspects := [view for view in views.values() if check_order(view)]) and time.monotonic() < deadline:
            self._progress(f"{len(suspects)} orders again")
            time.sleep(PAUSE_SECONDS)
            views |= self._reader.read_again(suspects)
        endpoints = self._endpoints(views, settle_until=deadline)
        self._progress("products")
        return Snapshot(
            drained=drained.quiet,
            drain_seconds=drained.seconds,
            waiting=drained.waiting,
            versions=versions,
            letters=[dict(letter) for letter in self._letters()],
            orders=views,
            products=self._products(views.values()),
            endpoints=endpoints,
        )

    def _endpoints(self, views: dict[str, OrderView], *, settle_until: float) -> dict[str, EndpointView]:
        """Webhook endpoints, read until each event has its delivery; missing ones were not delivered."""
        self._progress("webhooks")
        events = [event for view in views.values() for event in view.events]
        owners = {key: str(view.order["customer_id"]) for key, view in views.items() if view.order}
        found = webhooks.read_endpoints(self._client, events, owners)
        while any(map(webhooks.check_endpoint, found.values())) and time.monotonic() < settle_until:
            time.sleep(PAUSE_SECONDS)
            found = webhooks.read_again(self._client, found.values(), owners)
        return found

    def _views(self) -> dict[str, OrderView]:
        self._progress("orders")
        listed = {order["id"]: order for order in self._recent("/api/v1/orders")}
        orders = {key: order for key, order in listed.items() if order["customer_id"] in self._customers}
        self._progress(f"payments of {len(orders)} orders")
        payments: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for payment in self._recent("/api/v1/payments"):
            payments[payment["order_id"]].append(payment)
        self._progress("the provider's ledger")
        charges = self._ledger.charges(_rfc3339(self._since))
        self._progress("the archive")
        events: dict[str, list[ArchivedEvent]] = defaultdict(list)
        for document in self._client.all("/api/v1/events", since=_rfc3339(self._since)):
            events[document["subject"]].append(_event(document))
        reported = {key for key, known in events.items() if any(event.type.startswith("order.") for event in known)}
        strays = {key for key in {*payments, *charges, *reported} - set(listed) if self._is_of_this_time(key)}

        def view(key: str) -> OrderView:
            found = tuple(payments.get(key, ())), tuple(charges.get(key, ())), tuple(events.get(key, ()))
            return OrderView(key, orders.get(key), *found)

        return {key: view(key) for key in {*orders, *strays}}

    def _recent(self, path: str) -> Iterator[dict[str, Any]]:
        """Newest first, until they are too old."""
        for document in self._client.all(path):
            if _made_at(document["id"]) < self._since:
                return
            yield document

    def _products(self, views: Iterable[OrderView]) -> dict[str, ProductView]:
        sold: Counter[str] = Counter()
        moving: Counter[str] = Counter()
        for view in views:
            if view.order is None or view.status in OPEN:
                moving.update(view.quantities())
            elif view.status == "confirmed":
                sold.update(view.quantities())
        skus = [product["sku"] for product in self._run["products"]]
        return {sku: self._product(sku, sold[sku], moving[sku]) for sku in skus}

    def _product(self, sku: str, sold: int, moving: int) -> ProductView:
        try:
            product: dict[str, Any] | None = self._client.get(f"/api/v1/products/{sku}")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            product = None
        events = tuple(map(_event, self._client.all("/api/v1/events", subject=sku, source=INVENTORY)))
        return ProductView(sku, product, events, sold, moving)

    def _letters(self) -> Iterator[dict[str, Any]]:
        began = _rfc3339(self._run["wall"])
        for letter in self._client.all("/api/v1/dead-letters"):
            if letter["filed_at"] >= began:
                yield letter

    def _is_of_this_time(self, order_id: str) -> bool:
        return _made_at(order_id) >= self._since + EARLIER_SECONDS - STRAY_SECONDS


def _is_refusal(error: Exception) -> bool:
    """Whether a retry would get the same response."""
    return (
        isinstance(error, ApiError) and 400 <= error.status < 500 and error.status != requests.codes.too_many_requests
    )


def _event(document: dict[str, Any]) -> ArchivedEvent:
    return ArchivedEvent(**{name: document[name] for name in EVENT})


def _made_at(key: str) -> float:
    """The time in a UUIDv7; 0 for other ids."""
    try:
        return int(key.replace("-", "")[:12], 16) / 1000
    except ValueError:
        return 0.0


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
