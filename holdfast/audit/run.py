"""The audit as a whole: read, check, and read what does not agree again until it is stable."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.audit.promises import check_order, check_product
from holdfast.audit.webhooks import check_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.audit.backlog import Backlog
    from holdfast.audit.reading import Reader
    from holdfast.audit.views import Finding, OrderView, ProductView, Reading
    from holdfast.audit.webhooks import EndpointView

PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was read, and what is broken for good."""

    reading: Reading
    findings: list[Finding]
    read_again: int
    behind: Backlog | None = None  # as the system last said, if it is behind after all the waiting


def audit(
    reader: Reader,
    *,
    settle_seconds: float,
    progress: Callable[[str], None],
    behind_seconds: float = 0,
    waiting: Callable[[Backlog], None] = lambda _: None,
) -> Verdict:
    """Check every promise; a mismatch counts if it is there in every reading until `settle_seconds` after the first.

    Reading takes time of its own, all the more under load: unless `settle_seconds` is 0, whatever does not agree is
    read again at least once. While the system says that it is behind, the time to settle begins again, for
    `behind_seconds` at most, and `waiting` is called: what an overloaded system has not done yet is late, not lost.
    """
    reading = reader.read(progress)
    orders, products = _suspect_orders(reading.orders), _suspect_products(reading.products)
    endpoints = _suspect_endpoints(reading.endpoints)
    read_again = len(orders)
    deadline = time.monotonic() + settle_seconds
    latest = deadline + behind_seconds
    rounds_due = 1 if settle_seconds else 0
    behind = None
    while (orders or products or endpoints) and (rounds_due or time.monotonic() < deadline):
        rounds_due = 0
        behind = reader.backlog() if behind_seconds else None
        if behind is not None:
            deadline = min(latest, time.monotonic() + settle_seconds)
            waiting(behind)
        progress(f"{len(orders)} orders, {len(products)} products and {len(endpoints)} webhook endpoints again")
        time.sleep(PAUSE_SECONDS)
        if products:  # a product's numbers hang on every order
            reading = reader.read(progress)
            products = _suspect_products(_only(reading.products, products))
        orders = _suspect_orders(reader.read_again(orders.values()))
        if endpoints:
            endpoints = _suspect_endpoints(reader.read_endpoints_again(endpoints.values(), reading.owners))
    findings = [finding for order in orders.values() for finding in check_order(order)]
    findings += [finding for product in products.values() for finding in check_product(product)]
    findings += [finding for endpoint in endpoints.values() for finding in check_endpoint(endpoint)]
    findings += reading.outage_letters
    return Verdict(
        reading, sorted(findings, key=lambda finding: finding.promise), read_again, behind if findings else None
    )


def _suspect_orders(views: dict[str, OrderView]) -> dict[str, OrderView]:
    return {key: view for key, view in views.items() if check_order(view)}


def _suspect_products(views: dict[str, ProductView]) -> dict[str, ProductView]:
    return {key: view for key, view in views.items() if check_product(view)}


def _suspect_endpoints(views: dict[str, EndpointView]) -> dict[str, EndpointView]:
    return {key: view for key, view in views.items() if check_endpoint(view)}


def _only(views: dict[str, ProductView], suspects: dict[str, ProductView]) -> dict[str, ProductView]:
    """What was right once was read at a bad moment if it seems wrong now."""
    return {key: view for key, view in views.items() if key in suspects}
