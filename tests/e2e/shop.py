"""A shop on the running stack: its products, customers and orders, and waiting for their final states."""

import uuid
from dataclasses import dataclass
from typing import Any

import requests

from infrastructure.local.stack import Stack
from tests.e2e.api import Api, answer, problem
from tests.e2e.waiting import eventually

ORDERS, PRODUCTS, PAYMENTS = "/api/v1/orders", "/api/v1/products", "/api/v1/payments"
VISA, DECLINED = "pm_card_visa", "pm_card_chargeDeclined"
OPEN = ("pending", "reserved")
# Refunds and charges that the provider leaves undecided are asked about again after up to two minutes.
PAYMENT_SECONDS = 240
# Attempts at steps that must come in a certain order, which a busy machine may reverse.
TRIES = 5
# The events of a confirmed order, each once.
CONFIRMED = (
    "order.placed.v1",
    "stock.reserved.v1",
    "payment.captured.v1",
    "order.confirmed.v1",
    "stock.sold.v1",
)
Json = dict[str, Any]


@dataclass(frozen=True)
class Customer:
    """A customer without a password; `token` was issued for their API key."""

    id: str
    name: str
    api_key: str
    token: str
    api: Api


class Shop:
    """The shop, with an operator's access."""

    def __init__(self, stack: Stack) -> None:
        self.url = stack.urls.http("gateway")
        self.anyone = Api(self.url)
        credentials = {"username": "operator", "password": stack.credentials.operator_password}
        self.operator_token = answer(self.anyone.post("/api/v1/tokens", credentials))["access_token"]
        self.operator = Api(self.url, self.operator_token)
        self._scout = self.customer()

    def customer(self) -> Customer:
        """A new customer."""
        anyone = self.anyone.impatient()

        def register() -> requests.Response:
            name = f"e2e-{uuid.uuid4().hex[:12]}"  # another one each time: after a 503 it may be taken
            return anyone.post("/api/v1/users", {"username": name, "email": f"{name}@example.com"})

        user = answer(eventually(register, lambda reply: reply.status_code != 503), 201)
        token = answer(self.anyone.post("/api/v1/tokens", {"api_key": user["api_key"]}))["access_token"]
        return Customer(user["id"], user["username"], user["api_key"], token, Api(self.url, token))

    def product(self, on_hand: int = 100, price: int = 1999, currency: str = "usd") -> str:
        """The sku of a new product that can be ordered."""
        sku = f"E2E-{uuid.uuid4().hex[:12]}"
        body = {"sku": sku, "name": sku, "price": {"amount": price, "currency": currency}, "on_hand": on_hand}
        answer(self.operator.post(PRODUCTS, body, key=str(uuid.uuid4())), 201)
        self.wait_until_orderable(sku)
        return sku

    def wait_until_orderable(self, sku: str) -> None:
        """Wait until orders has received the product, by an order that is rejected for another, unknown one."""
        body = order_of({sku: 1, "NOBODY-SELLS-THIS": 1})

        def unknown() -> list[str]:
            reply = self._scout.api.post(ORDERS, body, key=str(uuid.uuid4()))
            assert reply.status_code == 422, reply.text
            errors: list[str] = reply.json()["errors"]["items"]
            return errors

        eventually(unknown, lambda errors: not any(sku in error for error in errors))

    def stock(self, sku: str) -> Json:
        found: Json = answer(self.operator.get(f"{PRODUCTS}/{sku}"))
        return found

    def order(self, order_id: str) -> Json:
        found: Json = answer(self.operator.get(f"{ORDERS}/{order_id}"))
        return found

    def settled(self, order_id: str, *, seconds: float = 120) -> Json:
        """The order once it is confirmed or cancelled."""
        return eventually(lambda: self.order(order_id), lambda order: order["status"] not in OPEN, seconds=seconds)

    def ended(self, order_id: str, status: str, reason: str | None = None) -> Json:
        """The order once it is settled; fails unless it has this outcome."""
        order = self.settled(order_id)
        assert (order["status"], order["cancel_reason"]) == (status, reason)
        return order

    def payment(self, order_id: str, status: str) -> Json:
        """The order's payment once it is in this status."""
        found = eventually(
            lambda: answer(self.operator.get(PAYMENTS, order_id=order_id))["data"],
            lambda data: bool(data) and data[0]["status"] == status,
            seconds=PAYMENT_SECONDS,
        )
        assert len(found) == 1
        payment: Json = found[0]
        return payment

    def timeline(self, order_id: str) -> list[Json]:
        """The events so far; empty until the archive has received the order."""
        reply = self.operator.get(f"{ORDERS}/{order_id}/timeline")
        if reply.status_code == 404:
            return []
        found: list[Json] = answer(reply)["data"]
        return found

    def await_events(self, order_id: str, *types: str) -> list[Json]:
        """The order's timeline once it has these types, in any order."""
        return eventually(
            lambda: self.timeline(order_id), lambda entries: sorted(e["type"] for e in entries) == sorted(types)
        )


def order_of(quantities: dict[str, int], method: str = VISA) -> Json:
    """The body of an order."""
    return {"items": [{"sku": sku, "quantity": n} for sku, n in quantities.items()], "payment_method": method}


def place(customer: Customer, quantities: dict[str, int], method: str = VISA, key: str | None = None) -> Json:
    """Place the order; returns it as accepted."""
    reply = customer.api.post(ORDERS, order_of(quantities, method), key=key or str(uuid.uuid4()))
    order: Json = answer(reply, 202)
    return order


def cancel_during_charge(shop: Shop, customer: Customer, faults_url: str, *faults: Json) -> Json:
    """An order that its customer cancelled during its charge, which the first of these faults of the sandbox delays.

    The delay is a few seconds, because the services wait no longer. If a busy machine is slower, and the order was
    confirmed before its cancellation, another one is placed.
    """
    for _ in range(TRIES):
        requests.put(faults_url, json=list(faults), timeout=60).raise_for_status()
        placed = place(customer, {shop.product(): 1})
        eventually(lambda: requests.get(faults_url, timeout=60).json()["data"][0]["struck"] == 1)
        reply = customer.api.post(f"{ORDERS}/{placed['id']}/cancel", key=str(uuid.uuid4()))
        if reply.status_code != 409:
            break
        assert problem(reply) == (409, "order_not_cancellable")
    cancelled: Json = answer(reply)
    return cancelled
