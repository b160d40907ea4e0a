"""The notifications worker's event handlers: record a delivery for each endpoint that subscribed to an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.messaging import topology
from common.messaging.events import InvalidEventError, read
from services.notifications import recording
from services.notifications.metrics import RECORDED
from workers.notifications.schemas import CustomersOrder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymongo.database import Database

    from common.messaging.events import Event
    from common.messaging.inbox import Delivery

_CUSTOMERS_ORDER = CustomersOrder()  # created once: creating a schema costs more than reading with it


@dataclass(frozen=True, slots=True)
class Resources:
    """The database, and a function that wakes the sender."""

    database: Database[dict[str, Any]]
    wake: Callable[[], None]


def record_event(delivery: Delivery, resources: Resources) -> None:
    record_events(resources, [delivery])


def record_events(resources: Resources, incoming: Sequence[Delivery]) -> list[bool]:
    """Record the deliveries of several events at once. An event that is received again is recorded again, to no
    effect.
    """
    events = [(each.event, _customer_id(each.event)) for each in incoming]
    if count := recording.record_events(resources.database, events):
        RECORDED.inc(count)
        resources.wake()
    return [True] * len(events)


def _customer_id(event: Event) -> str | None:
    """The customer of the order, if the event names it. Other events wait for one that does."""
    if "customer_id" not in event.data:
        return None
    try:
        return str(read(_CUSTOMERS_ORDER, event)["customer_id"])
    except InvalidEventError:
        return None


HANDLERS = {topology.EVERYTHING: record_event}
