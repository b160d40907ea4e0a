"""Orders as load: accepted by the API, and confirmed when all events are processed."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.bench import load
from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.client import Client
    from holdfast.target import Target

SKU = "BENCH-TEA"
STOCK = 100_000_000
SETTLE_SECONDS = 600.0
PRICE_LIST_SECONDS = 30.0
POLL_SECONDS = 0.25  # each poll slows down the measured system
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Measured:
    """`accepting` is the load on the API; the confirmed are counted from the first order to the last one's end."""

    accepting: load.Result
    confirmed: int
    confirmed_per_second: float


class Shop:
    """One customer with one product, with enough stock for any load."""

    def __init__(self, target: Target) -> None:
        self._operator = target.operator(patient=True)
        _list_product(self._operator)
        name = f"bench-{uuid.uuid4().hex[:10]}"
        user = target.anyone().post("/api/v1/users", {"username": name, "email": f"{name}@example.com"})
        self.customer_id = user["id"]
        self._customer = target.client_of({"api_key": user["api_key"]}, patient=True)
        self.token = target.anyone().token({"api_key": user["api_key"]})
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
        deadline = time.monotonic() + SETTLE_SECONDS
        while not self.is_settled():
            if time.monotonic() > deadline:
                message = f"orders are still open after {SETTLE_SECONDS:.0f} s"
                raise TimeoutError(message)
            time.sleep(POLL_SECONDS)

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


def _list_product(operator: Client) -> None:
    body = {"sku": SKU, "name": "Tea", "price": {"amount": 790, "currency": "usd"}, "on_hand": STOCK}
    try:
        operator.post("/api/v1/products", body)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
