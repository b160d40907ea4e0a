"""Events as other contexts publish them: their golden samples, for one order or another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.messaging.events import from_document, new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from workers.inventory.consumers import HANDLERS

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.events import Event

_SAMPLES = Path(__file__).parents[3] / "tests" / "contracts"
PLACED, CONFIRMED, CANCELLED = "order.placed.v1", "order.confirmed.v1", "order.cancelled.v1"


def sample(event_type: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_SAMPLES / f"{event_type}.json").read_text())
    return document


def event(
    event_type: str, order_id: str, lines: dict[str, int] | None = None, changes: dict[str, Any] | None = None
) -> Event:
    """A new event of that type about that order; `changes` overrides its data."""
    document = sample(event_type)
    data = document["data"] | {"order_id": order_id} | (changes or {})
    if lines is not None:
        price = {"amount": 1, "currency": "usd"}
        data["items"] = [{"sku": sku, "quantity": count, "unit_price": price} for sku, count in lines.items()]
    return from_document(document | {"id": new_id(), "subject": order_id, "orderid": order_id, "data": data})


def receive(engine: Engine, incoming: Event) -> bool:
    """Pass the event to its consumer; returns whether it was new."""
    try:
        HANDLERS[incoming.type](Delivery("inventory", incoming), engine)
    except AlreadyHandled:
        return False
    return True
