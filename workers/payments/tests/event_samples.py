"""Events as other contexts publish them: their golden samples, for one order or another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.messaging.events import from_document, new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from workers.payments.consumers import HANDLERS

if TYPE_CHECKING:
    from common.messaging.events import Event
    from services.payments.resources import Resources

_SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
PLACED, RESERVED, CANCELLED = "order.placed.v1", "stock.reserved.v1", "order.cancelled.v1"
TOTAL = 4648


def sample(event_type: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_SAMPLES / f"{event_type}.json").read_text())
    return document


def event(event_type: str, about: str, /, **changes: Any) -> Event:
    """A new event of that type about that order; `changes` overrides its data."""
    document = sample(event_type)
    data = document["data"] | {"order_id": about} | changes
    return from_document(document | {"id": new_id(), "subject": about, "orderid": about, "data": data})


def receive(resources: Resources, incoming: Event) -> bool:
    """Pass the event to its consumer; returns whether it was new."""
    try:
        HANDLERS[incoming.type](Delivery("payments", incoming), resources)
    except AlreadyHandled:
        return False
    return True
