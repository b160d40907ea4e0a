"""The purchases of the customers, planned in advance: a seed determines the purchases of every client. Pure.

No customer orders the same basket with the same card twice, so that each order can be matched to its purchase, also
without a response.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Intent = Literal["bought", "declined", "scarce", "cancelled", "repeated", "impatient"]
Read = Literal["nothing", "follow", "order", "list", "product", "timeline"]

Kind = TypeVar("Kind")

COMMON, SCARCE = 12, 4
COMMON_STOCK, SCARCE_STOCK = 50_000_000, 3
RESTOCKING_SECONDS = 5.0
DELIVERED = (1, 2)  # the smallest and largest stock of a scarce product
CARDS = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex", "pm_card_visa_debit")
DECLINING = ("pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds", "pm_card_authenticationRequired")
# Out of a hundred orders.
INTENTS: dict[Intent, int] = {
    "bought": 60,
    "declined": 9,
    "scarce": 9,
    "cancelled": 14,
    "repeated": 4,  # the client repeats the request in spite of a response
    "impatient": 4,  # the client disconnects before the response, and repeats the request
}
READS: dict[Read, int] = {"nothing": 45, "follow": 10, "order": 20, "list": 10, "product": 10, "timeline": 5}
MAX_LINES, MAX_QUANTITY = 3, 9


@dataclass(frozen=True, slots=True)
class Product:
    sku: str
    name: str
    amount: int
    on_hand: int


@dataclass(frozen=True, slots=True)
class Step:
    """One purchase. `basket` is SKUs with quantities, ordered by SKU."""

    number: int
    intent: Intent
    basket: tuple[tuple[str, int], ...]
    payment_method: str
    cancel_after_seconds: float
    read: Read


def catalogue(run: str) -> list[Product]:
    """The products of one run only: plenty of most, few of the scarce ones."""
    common = [Product(f"{run}-TEA-{n:02}", f"Tea no. {n}", 290 + 110 * n, COMMON_STOCK) for n in range(COMMON)]
    return common + [Product(f"{run}-RARE-{n}", f"The last tins, {n}", 9_900, SCARCE_STOCK) for n in range(SCARCE)]


def steps(seed: int, client: str, products: list[Product]) -> Iterator[Step]:
    """The endless purchases of one client."""
    chance = random.Random(f"{seed}/{client}")
    common = [product.sku for product in products if product.on_hand == COMMON_STOCK]
    scarce = [product.sku for product in products if product.on_hand != COMMON_STOCK]
    earlier: set[tuple[tuple[tuple[str, int], ...], str]] = set()
    number = 0
    while True:
        intent = _one_of(chance, INTENTS)
        cards = DECLINING if intent == "declined" else CARDS
        while True:
            basket = _basket(chance, common, [chance.choice(scarce)] if intent == "scarce" else [])
            purchase = basket, chance.choice(cards)
            if purchase not in earlier:
                break
        earlier.add(purchase)
        number += 1
        yield Step(number, intent, *purchase, chance.expovariate(1 / 0.15), _one_of(chance, READS))


def restocking_seconds(rate: float | None) -> float:
    """The restocking interval: at most half as fast as the orders, so that scarce products run out."""
    if rate is None:
        return RESTOCKING_SECONDS
    ordered_a_second = rate * INTENTS["scarce"] / sum(INTENTS.values())
    return max(RESTOCKING_SECONDS, 2 * sum(DELIVERED) / len(DELIVERED) / ordered_a_second)


def _basket(chance: random.Random, common: list[str], scarce: list[str]) -> tuple[tuple[str, int], ...]:
    lines = chance.choices(range(1, MAX_LINES + 1), weights=(50, 30, 20))[0]
    chosen = [(sku, chance.randint(1, MAX_QUANTITY)) for sku in chance.sample(common, lines)]
    return tuple(sorted([*chosen, *((sku, 1) for sku in scarce)]))


def _one_of(chance: random.Random, shares: dict[Kind, int]) -> Kind:
    return chance.choices(list(shares), weights=list(shares.values()))[0]
