"""Orders as load: accepted by the API, and confirmed when all events are processed."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.bench import load
from holdfast.client import ApiError
from infrastructure.local.readiness import holds_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.target import Target

SKU = "BENCH-TEA"
STOCK = 100_000_000
SETTLE_SECONDS = 600.0
PRICE_LIST_SECONDS = 30.0
POLL_SECONDS = 0.25  # each poll slows down the measured system


@dataclass(frozen=True, slots=True)
class Measured:
    """`accepting` is the load on the API; the confirmed are counted from the first order to the last one's end."""

    accepting: load.Result
    confirmed: int
    confirmed_per_second: float


class Shop:
    """One customer with one product, with enough stock for any load."""

    def __init__(self, target: Target) -> None:
        target.list_product(SKU, "Tea", STOCK)
        self.customer_id, credentials = target.register("bench")
        self._customer = target.client_of(credentials, patient=True)
        self.token = target.anyone().token(credentials)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        body = {"items": [{"sku": SKU, "quantity": 1}], "payment_method": "pm_card_visa"}
        self._body = json.dumps(body).encode()
        self._wait_for_price(body)

    def request(self, url: str) -> bytes:
        """The bytes of one new order for the service at `url`."""
        headers = self._headers | {"Idempotency-Key": str(uuid.uuid4())}
        return load.post_request(f"{url}/api/v1/orders", self._body, headers)

    def is_settled(self) -> bool:
        """Whether no order of this customer is open."""
        pages = (self._customer.get("/api/v1/orders", status=status, limit=1) for status in ("pending", "reserved"))
        return not any(page["data"] for page in pages)

    def settle(self) -> None:
        """Wait until no order is open. Raises `TimeoutError` after ten minutes."""
        if not holds_within(self.is_settled, SETTLE_SECONDS, POLL_SECONDS):
            message = f"orders are still open after {SETTLE_SECONDS:.0f} s"
            raise TimeoutError(message)

    def count(self, status: str) -> int:
        return sum(1 for _ in self._customer.all("/api/v1/orders", status=status))

    def _wait_for_price(self, body: dict[str, Any]) -> None:
        deadline = time.monotonic() + PRICE_LIST_SECONDS
        while True:
            try:
                self._customer.post("/api/v1/orders", body, key=str(uuid.uuid4()))
            except ApiError as error:
                if error.code != "unknown_sku" or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def measure(
    target: Target, *, connections: int, seconds: float, requests: int, progress: Callable[[str], None]
) -> Measured:
    """Place orders as fast as they are accepted, then wait until the last of them has settled."""
    shop = Shop(target)
    shop.settle()
    before = shop.count("confirmed")
    progress("placing orders")
    started = time.perf_counter()
    accepting = load.run(
        target.url, lambda: shop.request(target.url), connections=connections, seconds=seconds, requests=requests
    )
    progress(f"{accepting.answered} orders placed; waiting for the last one")
    shop.settle()
    settled_seconds = time.perf_counter() - started
    confirmed = shop.count("confirmed") - before
    return Measured(accepting, confirmed, confirmed / settled_seconds)
