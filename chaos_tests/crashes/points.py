"""The list of all crash points: how `holdfast chaos crashes` reaches them, and those that it does not test.

A crash point is a call of `crash_point(name)` (`common/resilience/crash_points.py`). `tests/test_crash_points.py` fails
if a call is missing here, or a name here has no call.
"""

from __future__ import annotations

from typing import Any

WORKERS = ("worker-inventory", "worker-orders", "worker-payments")
IN_BATCHES = (*WORKERS, "worker-archive")
# The fault of the provider that is needed to reach the crash point.
UNAVAILABLE = {"kind": "error", "rate": 0.5}
CHARGED_LATE = {"kind": "hang", "rate": 1.0, "seconds": 2, "after": True, "match": {"operation": "confirm"}}
# crash point -> the processes that reach it, and the needed fault of the provider.
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
    "batch.joined": (WORKERS, None),
    "batch.charging": (("worker-payments",), None),
    "batch.charged": (("worker-payments",), None),
    "batch.committing": (WORKERS, None),
    "batch.committed": (IN_BATCHES, None),
    # The batch contains events that the handler rejects.
    "batch.failed": (("worker-inventory",), None),
}
# Not on the path of an order: for tests of the module itself.
OFF_THE_ORDER_PATH = (
    "operations.replayed",
    "notifications.put_aside",
    "notifications.recorded",
    "notifications.sending",
    "notifications.sent",
    "mail.claimed",
    "mail.sent",
)
