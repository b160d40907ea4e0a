"""What the audit looks at, in plain values: one view per order and per product, put together from three witnesses.

The witnesses are the API, the payment provider's ledger and the archive of events. They are read one after the other,
so what moves meanwhile may disagree: a mismatch counts only once it is stable.
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
    def standing(self) -> int:
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
    """All that the witnesses say of one order; `order` None if the API does not know it."""

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
        """What came back another way than by the provider, as payments has it on record."""
        recorded = (self.payment or {}).get("refunded_elsewhere")
        return int(recorded["amount"]) if recorded else 0

    @property
    def refusal(self) -> dict[str, Any] | None:
        """Why the provider does not give the money back, if it refuses to."""
        return (self.payment or {}).get("refund_refusal")

    @property
    def began(self) -> str | None:
        """When it was first heard of (RFC 3339); None if nobody says."""
        times = [event.time for event in self.events]
        return min([*times, self.order["created_at"]] if self.order else times, default=None)

    def sequences(self, source: str) -> list[int]:
        return sorted(event.sequence for event in self.events if event.source == source)

    def count(self, event_type: str) -> int:
        return sum(event.type == event_type for event in self.events)

    def quantities(self) -> Counter[str]:
        """How many of each SKU were ordered; from its event if the API was read before it was placed."""
        placed = [event.data for event in self.events if event.type == "order.placed.v1"]
        known = self.order or (placed[0] if placed else {"items": []})
        wanted: Counter[str] = Counter()
        for item in known["items"]:
            wanted[item["sku"]] += item["quantity"]
        return wanted

    def is_moving(self, settled_before: str) -> bool:
        """Whether its stock may stand on either side, as far as was settled at that time (RFC 3339)."""
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
    """A product (None if the API does not know it), its events, and what the orders say it should hold.

    `sold` and `reserved` of the product may exceed what settled orders account for by what is still `moving`.
    """

    sku: str
    product: dict[str, Any] | None
    events: tuple[ArchivedEvent, ...]
    sold_by_orders: int
    moving: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken promise: which, of what, and how it shows."""

    promise: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of the whole system. Orders that came while it was read are the next one's to check.

    `owners` says whose an order is. `outage_letters` are dead letters that an outage has made.
    `dead_letters` are on file and wait for somebody; `unfiled_letters` have only just come.
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
