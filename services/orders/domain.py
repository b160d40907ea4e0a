"""Orders and their transitions. Pure: no I/O, no clock, no randomness.

    pending -> reserved -> confirmed
    pending or reserved -> cancelled (out_of_stock, payment_declined, customer_request, timed_out)

Facts arrive late, twice and out of order. So each decision takes the current status of the order and returns the next
one, or None if the fact changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from common.errors import Conflict, Rejected
from common.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# The smallest and the largest amount that Stripe charges, in minor units
# (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
MIN_TOTALS = {
    "usd": 50,
    "eur": 50,
    "gbp": 30,
    "chf": 50,
    "sek": 300,
    "nok": 300,
    "dkk": 250,
    "pln": 200,
    "cad": 50,
    "aud": 50,
}
MAX_TOTAL = 99_999_999


class Status(StrEnum):
    PENDING = "pending"
    RESERVED = "reserved"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"


class CancelReason(StrEnum):
    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_DECLINED = "payment_declined"
    CUSTOMER_REQUEST = "customer_request"
    TIMED_OUT = "timed_out"


OPEN = frozenset({Status.PENDING, Status.RESERVED})


@dataclass(frozen=True, slots=True)
class WantedItem:
    """An ordered item. `unit_price` is the price that the customer saw, None if the shop does not send it."""

    sku: str
    quantity: int
    unit_price: Money | None = None


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    quantity: int
    unit_price: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`version` is the number of events that the order has published."""

    id: str
    customer_id: str
    status: Status
    cancel_reason: CancelReason | None = None
    lines: tuple[Line, ...]
    total: Money
    payment_method: str
    version: int
    created_at: datetime


class UnknownSkuError(Rejected):
    """Not on the price list (yet): a product can be ordered after its event has arrived."""

    code = "unknown_sku"


class MixedCurrenciesError(Rejected):
    code = "mixed_currencies"


class PriceChangedError(Conflict):
    """The customer saw a price that differs from the current one."""

    code = "price_changed"


class TotalTooSmallError(Rejected):
    """The total is below the payment provider's minimum."""

    code = "total_too_small"


class TotalTooLargeError(Rejected):
    code = "total_too_large"


class NotCancellableError(Conflict):
    """Confirmed: the goods are sold. An operator may refund."""

    code = "order_not_cancellable"


def price(items: Sequence[WantedItem], price_list: Mapping[str, Money]) -> tuple[tuple[Line, ...], Money]:
    """Return the lines at current prices, and their total. Raises if the order is impossible."""
    unknown = [item.sku for item in items if item.sku not in price_list]
    if unknown:
        errors = {"items": [f"unknown sku {sku}" for sku in unknown]}
        raise UnknownSkuError("not every item is on the price list", errors=errors)
    _require_prices_seen(items, price_list)
    lines = tuple(Line(item.sku, item.quantity, price_list[item.sku]) for item in items)
    currencies = {line.unit_price.currency for line in lines}
    if len(currencies) != 1:
        raise MixedCurrenciesError("the items are priced in different currencies")
    total = Money(sum(line.quantity * line.unit_price.amount for line in lines), currencies.pop())
    _require_chargeable(total)
    return lines, total


def _require_prices_seen(items: Sequence[WantedItem], price_list: Mapping[str, Money]) -> None:
    changed = {
        f"items.{number}.unit_price": [
            f"You saw {_shown(item.unit_price)}; the price is {_shown(price_list[item.sku])}."
        ]
        for number, item in enumerate(items)
        if item.unit_price not in (None, price_list[item.sku])
    }
    if changed:
        message = "A price has changed. Show the customer the new one and order again."
        raise PriceChangedError(message, errors=changed)


def _require_chargeable(total: Money) -> None:
    smallest = MIN_TOTALS.get(total.currency, 1)
    if total.amount < smallest:
        message = f"The total, {_shown(total)}, is below the smallest amount that can be charged, {smallest}."
        raise TotalTooSmallError(message)
    if total.amount > MAX_TOTAL:
        message = f"The total, {_shown(total)}, is above the largest amount that can be charged, {MAX_TOTAL}."
        raise TotalTooLargeError(message)


def _shown(money: Money | None) -> str:
    return f"{money.amount} {money.currency}" if money else "no price"


def when_stock_is_reserved(status: Status) -> Status | None:
    return Status.RESERVED if status is Status.PENDING else None


def when_payment_is_captured(status: Status) -> Status | None:
    # A capture implies the reservation, if they arrive out of order.
    return Status.CONFIRMED if status in OPEN else None


def when_it_fails(status: Status) -> Status | None:
    """Stock rejected, payment declined, or timed out."""
    return Status.CANCELLED if status in OPEN else None


def when_customer_cancels(status: Status) -> Status | None:
    """None if it is already cancelled. Raises `NotCancellableError` once confirmed."""
    if status is Status.CONFIRMED:
        raise NotCancellableError("the order is confirmed; ask for a refund")
    return Status.CANCELLED if status in OPEN else None
