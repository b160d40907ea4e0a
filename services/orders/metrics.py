"""What becomes of orders, in numbers: accepted, confirmed, cancelled by reason, and how long confirming took.

Each is counted once, by the process that made it so, after its transaction is committed: a duplicate counts nothing,
and a process that dies between its commit and the count leaves one out. So these are for rates and shares; the sums
that must be right are the audit's.
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
for _reason in CancelReason:  # at nought from the start, or the first of its kind would be no increase
    CANCELLED.labels(_reason)


def count_accepted() -> None:
    """An order and its event are committed."""
    ACCEPTED.inc()


def count_ended(order: Order) -> None:
    """The order's end is committed."""
    if order.status is Status.CONFIRMED:
        CONFIRMED.inc()
        CONFIRMATION.observe(max(0.0, (utc_now() - order.created_at).total_seconds()))
    else:
        CANCELLED.labels(order.cancel_reason).inc()
