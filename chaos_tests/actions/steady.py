"""The steady state: an order is accepted, and confirmed soon after. Also restores everything at the end of each
experiment.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chaos_tests.actions.evidence import PAUSE_SECONDS, TROUBLE, result
from chaos_tests.runners.drivers.driver import driver_of

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.target import Target

SKU = "CHAOS-STEADY"
STOCK = 10_000_000
BODY = {"items": [{"sku": SKU, "quantity": 1}], "payment_method": "pm_card_visa"}
_CUSTOMERS: dict[str, Client] = {}  # by gateway: one customer for all probes of this process


def orders_go_through(configuration: dict[str, Any], seconds: float = 60.0) -> bool:
    """Whether a new order is confirmed within that time; retries after a cancelled one."""
    target = driver_of(configuration).target()
    key, order_id, deadline = str(uuid.uuid4()), "", time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(*TROUBLE):
            customer = _customer(target.url, target)
            order_id = order_id or customer.post("/api/v1/orders", BODY, key=key)["id"]
            match customer.get(f"/api/v1/orders/{order_id}")["status"]:
                case "confirmed":
                    return True
                case "cancelled":
                    key, order_id = str(uuid.uuid4()), ""
        time.sleep(PAUSE_SECONDS)
    return False


def heal(configuration: dict[str, Any]) -> dict[str, Any]:
    """Restore everything that is still broken. Raises `RuntimeError` if that fails."""
    restored, failed = driver_of(configuration).journal.restore_all(configuration, and_the_run=False)
    if failed:
        raise RuntimeError("; ".join(failed))
    return result(f"restored: {', '.join(restored)}" if restored else "nothing was broken any more")


def forget_customers() -> None:
    """For a system with an empty database."""
    _CUSTOMERS.clear()


def _customer(url: str, target: Target) -> Client:
    """A separate customer, and a product with enough stock. Raises the client's errors."""
    if url not in _CUSTOMERS:
        target.list_product(SKU, "Steady tea", STOCK)
        _, credentials = target.register("steady")
        _CUSTOMERS[url] = target.client_of(credentials)
    return _CUSTOMERS[url]
