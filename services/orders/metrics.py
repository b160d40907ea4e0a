"""Metrics of orders: accepted, confirmed, cancelled by reason, and the confirmation time.

Each is counted once, after the commit of its transaction: duplicates are not counted, and a process that dies between
its commit and the count loses one. So use them for rates and ratios; the audit checks exact sums.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from common.messaging.events import utc_now
from services.orders.domain import CancelReason, Status

if TYPE_CHECKING:
    from services.orders.domain import Order

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 900.0, 3600.0)
ACCEPTED = Counter("holdfast_orders_accepted", "Orders accepted")
CONFIRMED = Counter("holdfast_orders_confirmed", "Orders confirmed")
CANCELLED = Counter("holdfast_orders_cancelled", "Orders cancelled, by reason", ["reason"])
CONFIRMATION = Histogram(
    "holdfast_order_confirmation_seconds", "From an order's acceptance to its confirmation", buckets=_BUCKETS
)
for _reason in CancelReason:  # initialised to 0, otherwise the first count would not be an increase
    CANCELLED.labels(_reason)


def count_accepted() -> None:
    """Call it after the commit of an order and its event."""
    ACCEPTED.inc()


def count_ended(order: Order) -> None:
    """Call it after the commit of the order's end."""
    if order.status is Status.CONFIRMED:
        CONFIRMED.inc()
        CONFIRMATION.observe(max(0.0, (utc_now() - order.created_at).total_seconds()))
    else:
        CANCELLED.labels(order.cancel_reason).inc()
