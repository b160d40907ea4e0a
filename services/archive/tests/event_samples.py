"""Events for the tests of the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.messaging.events import Event, new_id
from common.messaging.inbox import AlreadyHandled, Delivery
from services.archive import usecases
from services.archive.event_log import EventLog

if TYPE_CHECKING:
    from pymongo.database import Database

CUSTOMER = "01928f6d-11aa-7c21-8d43-5b7e9f00c2d1"
PLACED = "order.placed.v1"


def happening(**changes: Any) -> Event:
    """An event of a sample service; `changes` overrides its attributes."""
    values: dict[str, Any] = {
        "id": new_id(),
        "source": "/services/orders",
        "type": "order.confirmed.v1",
        "subject": "thing-1",
        "time": "2026-11-02T09:15:11.300000Z",
        "sequence": 1,
        "correlationid": "request-1",
        "data": {},
    }
    return Event(**(values | changes))


def at(second: float) -> str:
    """The time `seconds` (below 60) after ten o'clock."""
    return f"2026-11-02T10:00:{second:09.6f}Z"


def placed(order_id: str, second: float = 0) -> Event:
    data = {
        "order_id": order_id,
        "customer_id": CUSTOMER,
        "items": [{"sku": "TEA", "quantity": 2, "unit_price": {"amount": 450, "currency": "usd"}}],
        "total": {"amount": 900, "currency": "usd"},
        "payment_method": "pm_card_visa",
    }
    return happening(type=PLACED, subject=order_id, orderid=order_id, time=at(second), data=data)


def file(database: Database[dict[str, Any]], *events: Event) -> int:
    """File events like the worker does; returns how many were new."""
    new, log = 0, EventLog(database)
    for event in events:
        customer_id = event.data["customer_id"] if event.type == PLACED else None
        try:
            usecases.file_event(log, Delivery("archive", event), customer_id=customer_id)
        except AlreadyHandled:
            continue
        new += 1
    return new
