"""Named places at which a test build kills its process, as a power cut would: between any two steps that matter.

`HOLDFAST_CRASH_POINT=relay.published:3` kills (SIGKILL) when that place is reached for the third time. It works only
with HOLDFAST_TEST_BUILD=1 beside it; otherwise every call returns at once. The environment is read here and not in the
settings because it is no setting: no installation has it.
"""

from __future__ import annotations

import os
import signal
import threading

# Every boundary on an order's way at which the process talks to a database, the broker or the payment provider.
POINTS = (
    "orders.placing",
    "orders.placed",
    "relay.fetched",
    "relay.published",
    "relay.deleted",
    "consumer.received",
    "inbox.inserted",
    "inbox.committing",
    "consumer.handled",
    "redelivery.publishing",
    "redelivery.published",
    "payments.creating",
    "payments.created",
    "payments.attached",
    "payments.confirmed",
    "payments.cancelled",
    "payments.refund_owed",
    "payments.refunded",
    "archive.filing",
    "archive.filed",
)
# Beside it.
OFF_THE_WAY = (
    "operations.replayed",
    "notifications.put_aside",
    "notifications.recorded",
    "notifications.sending",
    "notifications.sent",
)


class _Trap:
    def __init__(self, wanted: str) -> None:
        self._name, _, count = wanted.partition(":")
        if self._name not in (*POINTS, *OFF_THE_WAY):
            message = f"no crash point is called {self._name!r}"
            raise ValueError(message)
        self._left = int(count or 1)
        self._lock = threading.Lock()

    def reached(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _armed() -> _Trap | None:
    wanted = os.environ.get("HOLDFAST_CRASH_POINT")
    return _Trap(wanted) if wanted and os.environ.get("HOLDFAST_TEST_BUILD") == "1" else None


_TRAP = _armed()


def crash_point(name: str) -> None:
    """Die here, if this is the place that the test chose."""
    if _TRAP is not None:
        _TRAP.reached(name)
