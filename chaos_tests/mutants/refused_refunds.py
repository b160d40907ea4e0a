"""A payment provider that refuses refunds permanently, and an operator who closes each reported case."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from chaos_tests.matrix.run import BODY
from chaos_tests.mutants.scenarios import CHARGED_LATE, DEATH_SECONDS, SHOPPING_SECONDS, wait_until_injected
from holdfast.client import ApiError

if TYPE_CHECKING:
    from chaos_tests.runners.system import System
    from holdfast.client import Client

PAYMENTS = "/api/v1/payments"
REFUND_TRIES = 5
REFUSES = {"kind": "refuse", "match": {"operation": "refund"}}


def refunds_refused(system: System) -> set[str]:
    """The provider refuses refunds of cancelled orders; an operator closes each reported case."""
    operator, customer = system.target().operator(), system.customer()
    with system.changed({name: {"REFUND_RETRY_SECONDS": "0.1"} for name in ("service-payments", "worker-payments")}):
        system.wait_ready()
        for _ in range(2):
            system.sandbox_fault(**CHARGED_LATE)
            order_id = customer.post("/api/v1/orders", BODY, key=str(uuid.uuid4()))["id"]
            wait_until_injected(system, 1)
            system.sandbox_fault(**REFUSES)
            with suppress(ApiError):
                customer.post(f"/api/v1/orders/{order_id}/cancel")
            _try_refund_often(operator, order_id)
        for case in operator.all(f"{PAYMENTS}/standing-cases"):
            operator.post(f"{PAYMENTS}/{case['id']}/refunds/record", {"reason": "in cash"}, key=str(uuid.uuid4()))
        time.sleep(SHOPPING_SECONDS)
        for letter in operator.all("/api/v1/dead-letters", type="payment.refund_refused.v1", status="filed"):
            operator.post(f"/api/v1/dead-letters/{letter['id']}/replay")
        system.restore_sandbox()
    return set()


def _try_refund_often(operator: Client, order_id: str) -> None:
    """Retry the refund as often as the system would within an hour."""
    deadline = time.monotonic() + DEATH_SECONDS
    while time.monotonic() < deadline:
        for payment in operator.all(PAYMENTS, order_id=order_id):
            operator.post(f"{PAYMENTS}/{payment['id']}/re-check")
            if (payment["refund_refusal"] or {"tries": 0})["tries"] >= REFUND_TRIES:
                return
        time.sleep(0.5)
