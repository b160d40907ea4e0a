"""The steps of the demonstration: list products, place orders, kill a worker, wait until all orders are settled."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.client import ApiError, Client
from holdfast.demo import shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.demo.shop import Plan
    from holdfast.target import Target

CUSTOMERS = 4
PRICE_LIST_SECONDS = 30.0
SETTLE_SECONDS = 90.0
KILL_AFTER = 10  # orders
VICTIM = "worker-payments"
OPEN = ("pending", "reserved")


@dataclass
class Course:
    """The progress; `show` is called on each change."""

    show: Callable[[], None]
    placed: dict[str, Plan] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    killed: str | None = None

    @property
    def counts(self) -> Counter[str]:
        """Orders by status, unpolled ones as pending."""
        return Counter(self.orders.get(order_id, {"status": "pending"})["status"] for order_id in self.placed)

    @property
    def is_settled(self) -> bool:
        return not any(self.counts[status] for status in OPEN)


def run(target: Target, course: Course, *, seed: int) -> None:
    """Place all orders and wait for them; `course.is_settled` says whether all of them ended in time."""
    customers = [shop.register(target) for _ in range(CUSTOMERS)]
    plans = shop.plans(seed)
    shares = [plans[number::CUSTOMERS] for number in range(CUSTOMERS)]
    with ThreadPoolExecutor(CUSTOMERS) as executor:
        for done in [
            executor.submit(_buy, target, customer, share, course)
            for customer, share in zip(customers, shares, strict=True)
        ]:
            done.result()
    _settle(target.operator().waiting(shop.START_SECONDS), course)


def _buy(target: Target, customer: Client, plans: list[Plan], course: Course) -> None:
    for plan in plans:
        order = _place(customer, plan)
        course.placed[order["id"]] = plan
        if plan.kind == "cancelled":
            with suppress(ApiError):  # it may already be confirmed: then it counts as confirmed
                customer.post(f"/api/v1/orders/{order['id']}/cancel")
        if len(course.placed) == KILL_AFTER and target.stack is not None:
            target.stack.kill(VICTIM)
            course.killed = VICTIM
        course.show()


def _place(customer: Client, plan: Plan) -> dict[str, Any]:
    """A product can be ordered after orders has received its event, a moment after it was listed."""
    deadline = time.monotonic() + PRICE_LIST_SECONDS
    while True:
        try:
            return shop.place(customer, plan)
        except ApiError as error:
            if error.code != "unknown_sku" or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _settle(operator: Client, course: Course) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        for order_id in course.placed:
            if course.orders.get(order_id, {"status": "pending"})["status"] in OPEN:
                course.orders[order_id] = operator.get(f"/api/v1/orders/{order_id}")
                course.show()
        if course.is_settled:
            return
        time.sleep(0.2)
