"""Stock and its transitions. Pure: no I/O, no clock, no randomness.

    received --adjust--> on hand --reserve--> reserved --sell--> sold
                                                       --release--> free again

Guarantee: every decision keeps `0 <= reserved <= on_hand`, and `on_hand + sold` changes by adjustments only.

A reservation belongs to one order and goes `held -> sold` or `held -> released`; `rejected` and `cancelled` are final
from the start. Facts arrive late, twice and out of order: a decision takes the current status (None: unknown order) and
returns the next one, or None if the fact changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from common.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from common.money import Money

MAX_ON_HAND = 1_000_000_000


class Status(StrEnum):
    HELD = "held"
    SOLD = "sold"
    RELEASED = "released"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    UNKNOWN_SKU = "unknown_sku"
    OUT_OF_STOCK = "out_of_stock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    on_hand: int = 0
    reserved: int = 0
    sold: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`version` is the number of events about the product; reservations and sales are events about an order."""

    sku: str
    name: str
    price: Money
    stock: Stock
    version: int


@dataclass(frozen=True, slots=True)
class Line:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """`version` is the number of events that inventory has published about the order."""

    order_id: str
    status: Status
    lines: tuple[Line, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    sku: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The change of a product's stock per unit of a line."""

    on_hand: int = 0
    reserved: int = 0
    sold: int = 0


# The stock movement when a reservation enters a status; other statuses move none.
MOVES = {
    Status.HELD: Move(reserved=1),
    Status.SOLD: Move(on_hand=-1, reserved=-1, sold=1),
    Status.RELEASED: Move(reserved=-1),
}


class SkuTakenError(Conflict):
    code = "sku_taken"


class BelowReservedError(Conflict):
    """More is reserved for open orders than would remain."""

    code = "below_reserved"


class StockTooLargeError(Conflict):
    code = "stock_too_large"


class UnknownReservationError(NotFound):
    """A sale for an order without a reservation.

    No order is confirmed before its `stock.reserved.v1`, which is published in the transaction of the reservation: this
    is not a matter of order, so waiting cannot fix it. The event is forged or data was lost; an operator must
    investigate.
    """

    code = "unknown_reservation"


class ReservationEndedError(Conflict):
    """A sale for a reservation that ended otherwise, or a cancellation of a sale. orders never publishes both for one
    order.

    Silently dropping either would hide a violation of stock conservation.
    """

    code = "reservation_ended"


def adjust(product: Product, delta: int) -> Product:
    """The product after a delivery, a stock-take or a loss. Raises if it is impossible."""
    on_hand = product.stock.on_hand + delta
    if on_hand < product.stock.reserved:
        raise BelowReservedError(f"{product.stock.reserved} of the {product.stock.on_hand} on hand are reserved")
    if on_hand > MAX_ON_HAND:
        raise StockTooLargeError(f"more than {MAX_ON_HAND} would be on hand")
    return replace(product, stock=replace(product.stock, on_hand=on_hand), version=product.version + 1)


def change(product: Product, *, name: str | None, price: Money | None) -> Product | None:
    """The product with the given values; None if nothing changes."""
    changed = replace(product, name=name or product.name, price=price or product.price)
    return replace(changed, version=product.version + 1) if changed != product else None


def merge(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line per sku, sorted by sku: two lines of one sku are merged."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return tuple(Line(sku, quantity) for sku, quantity in sorted(quantities.items()))


def refuse(lines: Iterable[Line], available: Mapping[str, int]) -> Refusal | None:
    """Why the lines cannot all be reserved, None if they can. `available` has every known sku among them."""
    refusal = None
    for line in lines:
        if line.sku not in available:
            return Refusal(Reason.UNKNOWN_SKU, line.sku)
        if line.quantity > available[line.sku] and refusal is None:
            refusal = Refusal(Reason.OUT_OF_STOCK, line.sku)
    return refusal


def when_order_is_confirmed(status: Status | None) -> Status | None:
    if status is None:
        raise UnknownReservationError("no stock was ever reserved for this order")
    if status not in {Status.HELD, Status.SOLD}:
        raise ReservationEndedError(f"the order is confirmed, but its reservation is {status}")
    return Status.SOLD if status is Status.HELD else None


def when_order_is_cancelled(status: Status | None) -> Status | None:
    if status is None:
        return Status.CANCELLED
    if status is Status.SOLD:
        raise ReservationEndedError("the order is cancelled, but its items are sold")
    return Status.RELEASED if status is Status.HELD else None


def move(stock: Stock, by: Move, quantity: int) -> Stock:
    return Stock(
        on_hand=stock.on_hand + by.on_hand * quantity,
        reserved=stock.reserved + by.reserved * quantity,
        sold=stock.sold + by.sold * quantity,
    )
