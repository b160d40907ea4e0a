"""The whole audit: read, check, and re-read mismatches until they are stable."""

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
    """The reading, and the stable findings."""

    reading: Reading
    findings: list[Finding]
    read_again: int
    behind: Backlog | None = None  # the last reported backlog, if one remains after the wait


def audit(
    reader: Reader,
    *,
    settle_seconds: float,
    progress: Callable[[str], None],
    behind_seconds: float = 0,
    waiting: Callable[[Backlog], None] = lambda _: None,
) -> Verdict:
    """Check every promise; a mismatch counts if it is in every reading until `settle_seconds` after the first.

    Reading takes time, especially under load: unless `settle_seconds` is 0, every mismatch is read again at least once.
    While the system reports a backlog, the settle time restarts, for at most `behind_seconds`, and `waiting` is called:
    unfinished work of an overloaded system is late, not lost.
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
        if products:  # a product's numbers depend on every order
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
    """A check that passed once is not a mismatch later: it was read at a different time."""
    return {key: view for key, view in views.items() if key in suspects}
