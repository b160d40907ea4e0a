"""The audit's data as plain values: one view per order and per product, built from three sources.

The sources are the API, the payment provider's ledger and the archive of events. They are read one after the other, so
concurrent changes may cause mismatches: only a stable mismatch counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.audit.webhooks import EndpointView

OPEN = frozenset({"pending", "reserved"})
ORDERS, PAYMENTS, INVENTORY = "/services/orders", "/services/payments", "/services/inventory"


@dataclass(frozen=True, slots=True)
class Charge:
    """An intent of the provider's ledger. Amounts in minor units; nothing is captured until it succeeds."""

    id: str
    order_id: str
    captured: int
    refunded: int
    currency: str

    @property
    def net(self) -> int:
        return self.captured - self.refunded


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    id: str
    type: str
    source: str
    subject: str
    sequence: int
    time: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrderView:
    """All data of one order; `order` None if the API does not know it."""

    id: str
    order: dict[str, Any] | None
    payments: tuple[dict[str, Any], ...]
    charges: tuple[Charge, ...]
    events: tuple[ArchivedEvent, ...]

    @property
    def status(self) -> str:
        return str(self.order["status"]) if self.order else "unknown"

    @property
    def payment(self) -> dict[str, Any] | None:
        return self.payments[0] if self.payments else None

    @property
    def elsewhere(self) -> int:
        """The amount returned another way, as recorded by payments."""
        recorded = (self.payment or {}).get("refunded_elsewhere")
        return int(recorded["amount"]) if recorded else 0

    @property
    def refusal(self) -> dict[str, Any] | None:
        """The provider's reason for refusing a refund, if any."""
        return (self.payment or {}).get("refund_refusal")

    @property
    def began(self) -> str | None:
        """The time of its first event (RFC 3339); None if unknown."""
        times = [event.time for event in self.events]
        return min([*times, self.order["created_at"]] if self.order else times, default=None)

    def sequences(self, source: str) -> list[int]:
        return sorted(event.sequence for event in self.events if event.source == source)

    def count(self, event_type: str) -> int:
        return sum(event.type == event_type for event in self.events)

    def quantities(self) -> Counter[str]:
        """The ordered quantity of each SKU; from its event if the API was read before it was placed."""
        placed = [event.data for event in self.events if event.type == "order.placed.v1"]
        known = self.order or (placed[0] if placed else {"items": []})
        quantities: Counter[str] = Counter()
        for item in known["items"]:
            quantities[item["sku"]] += item["quantity"]
        return quantities

    def is_moving(self, settled_before: str) -> bool:
        """Whether its stock may be in either state, given what was settled at that time (RFC 3339)."""
        if self.order is None or self.status in OPEN:
            return True
        if self.status == "confirmed":
            return not self._happened("stock.sold.v1", settled_before)
        held = self.count("stock.reserved.v1") > 0
        return held and not self._happened("stock.released.v1", settled_before)

    def _happened(self, event_type: str, before: str) -> bool:
        return any(event.type == event_type and event.time <= before for event in self.events)


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product (None if the API does not know it), its events, and the quantities that its orders imply.

    `sold` and `reserved` of the product may exceed those of settled orders by the quantity still `moving`.
    """

    sku: str
    product: dict[str, Any] | None
    events: tuple[ArchivedEvent, ...]
    sold_by_orders: int
    moving: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: the promise, the subject, and the evidence."""

    promise: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the whole system. Orders placed during the reading are checked in the next one.

    `owners` maps orders to customers. `outage_letters` are dead letters because of an outage. `dead_letters` are stored
    and wait for a decision; `unfiled_letters` have just arrived.
    """

    orders: dict[str, OrderView]
    products: dict[str, ProductView]
    events: int
    dead_letters: int
    waiting_messages: int
    unfiled_letters: int = 0
    endpoints: dict[str, EndpointView] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    outage_letters: tuple[Finding, ...] = ()
