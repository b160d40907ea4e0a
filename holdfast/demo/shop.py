"""The shop of the demonstration: products, customers and orders."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.client import ApiError

if TYPE_CHECKING:
    from holdfast.client import Client
    from holdfast.target import Target

PRODUCTS = {
    "TEA-ASSAM": ("Assam, 100 g", 790),
    "TEA-SENCHA": ("Sencha, 100 g", 1250),
    "POT-CAST-IRON": ("Cast-iron pot", 5900),
    "CUP-PORCELAIN": ("Porcelain cup", 1400),
}
RARE = "TEA-1982-PUER"
RARE_NAME, RARE_PRICE, RARE_STOCK = "Pu-erh of 1982, the last boxes", 48_000, 3
COMMON_STOCK = 1_000
PRICES = {
    sku: {"amount": amount, "currency": "usd"}
    for sku, amount in [(RARE, RARE_PRICE), *((sku, price) for sku, (_, price) in PRODUCTS.items())]
}
CONFLICT = 409
START_SECONDS = 60.0  # time-out for a busy or just started system


@dataclass(frozen=True, slots=True)
class Plan:
    """One order to place, and its expected outcome."""

    kind: str
    items: tuple[tuple[str, int], ...]
    payment_method: str = "pm_card_visa"


def plans(seed: int) -> list[Plan]:
    """Forty orders: most succeed, some are declined, some find the rare tea sold out, some are cancelled."""
    chance = random.Random(seed)

    def basket() -> tuple[tuple[str, int], ...]:
        skus = chance.sample(sorted(PRODUCTS), chance.randint(1, 3))
        return tuple((sku, chance.randint(1, 3)) for sku in skus)

    made = [Plan("bought", basket()) for _ in range(22)]
    made += [Plan("declined", basket(), "pm_card_chargeDeclined") for _ in range(3)]
    made += [Plan("declined", basket(), "pm_card_chargeDeclinedInsufficientFunds") for _ in range(3)]
    made += [Plan("rare", ((RARE, 1),)) for _ in range(RARE_STOCK * 2)]
    made += [Plan("cancelled", basket()) for _ in range(6)]
    chance.shuffle(made)
    return made


def fill(operator: Client) -> None:
    """List the products, with exactly RARE_STOCK of the rare tea available."""
    for sku, (name, price) in PRODUCTS.items():
        _stock(operator, sku, name, price, COMMON_STOCK)
    _stock(operator, RARE, RARE_NAME, RARE_PRICE, RARE_STOCK)


def register(target: Target) -> Client:
    """A new customer without a password, who gets an API key."""
    name = f"demo-{uuid.uuid4().hex[:10]}"
    body = {"username": name, "email": f"{name}@example.com"}
    user = target.anyone().waiting(START_SECONDS).post("/api/v1/users", body, key=str(uuid.uuid4()))
    return target.client_of({"api_key": user["api_key"]}).waiting(START_SECONDS)


def place(customer: Client, plan: Plan) -> dict[str, Any]:
    items = [{"sku": sku, "quantity": quantity, "unit_price": PRICES[sku]} for sku, quantity in plan.items]
    body = {"items": items, "payment_method": plan.payment_method}
    order: dict[str, Any] = customer.post("/api/v1/orders", body, key=str(uuid.uuid4()))
    return order


def _stock(operator: Client, sku: str, name: str, price: int, on_hand: int) -> None:
    body = {"sku": sku, "name": name, "price": {"amount": price, "currency": "usd"}, "on_hand": on_hand}
    try:
        operator.post("/api/v1/products", body, key=str(uuid.uuid4()))
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        missing = on_hand - operator.get(f"/api/v1/products/{sku}")["available"]
        if missing:
            adjustment = {"delta": missing, "reason": "stock for the demonstration"}
            operator.post(f"/api/v1/products/{sku}/stock-adjustments", adjustment, key=str(uuid.uuid4()))
