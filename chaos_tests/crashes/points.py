"""The list of all crash points: those that `holdfast chaos crashes` visits, with how it reaches each, and the others.

A crash point is a call of `crash_point(name)` (`common/resilience/crash_points.py`). `tests/test_crash_points.py` fails
if a call is missing here, or a name here has no call.
"""

from __future__ import annotations

from typing import Any

WORKERS = ("worker-inventory", "worker-orders", "worker-payments")
# Those of them that handle several events in one transaction, and the archive's, which has none.
IN_TRANSACTIONS = ("worker-inventory", "worker-orders")
IN_BATCHES = (*IN_TRANSACTIONS, "worker-archive")
# What must be wrong at the provider for the place to be reached at all.
UNAVAILABLE = {"kind": "error", "rate": 0.5}
CHARGED_LATE = {"kind": "hang", "rate": 1.0, "seconds": 2, "after": True, "match": {"operation": "confirm"}}
# place -> the processes that pass it, and a fault of the provider that leads there.
ON_THE_ORDER_PATH: dict[str, tuple[tuple[str, ...], dict[str, Any] | None]] = {
    "orders.placing": (("service-orders",), None),
    "orders.placed": (("service-orders",), None),
    "relay.fetched": (("relay-1", "relay-2"), None),
    "relay.published": (("relay-1", "relay-2"), None),
    "relay.deleted": (("relay-1", "relay-2"), None),
    "consumer.received": (WORKERS, None),
    "inbox.inserted": (WORKERS, None),
    "inbox.committing": (WORKERS, None),
    "consumer.handled": (WORKERS, None),
    "redelivery.publishing": (("worker-payments",), UNAVAILABLE),
    "redelivery.published": (("worker-payments",), UNAVAILABLE),
    "payments.creating": (("worker-payments",), None),
    "payments.created": (("worker-payments",), None),
    "payments.attached": (("worker-payments",), None),
    "payments.confirmed": (("worker-payments",), None),
    "payments.cancelled": (("worker-payments",), None),
    "payments.refund_owed": (("worker-payments",), CHARGED_LATE),
    "payments.refunded": (("worker-payments",), CHARGED_LATE),
    "archive.filing": (("worker-archive",), None),
    "archive.filed": (("worker-archive",), None),
    "batch.received": (IN_BATCHES, None),
    "batch.joined": (IN_TRANSACTIONS, None),
    "batch.committing": (IN_TRANSACTIONS, None),
    "batch.committed": (IN_BATCHES, None),
    # Events that the handler refuses are in the batch.
    "batch.failed": (("worker-inventory",), None),
}
# Not on an order's way: for tests of the module itself.
OFF_THE_ORDER_PATH = (
    "operations.replayed",
    "notifications.put_aside",
    "notifications.recorded",
    "notifications.sending",
    "notifications.sent",
    "mail.sent",
)
