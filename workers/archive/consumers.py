"""The archive's event handler: stores every event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from common.messaging import topology
from common.messaging.events import InvalidEventError, read
from services.archive import usecases
from workers.archive.schemas import CustomersOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.messaging.events import Event
    from common.messaging.inbox import Delivery
    from services.archive.event_log import EventLog

ORDER_PLACED = "order.placed.v1"
_log = structlog.get_logger(__name__)


def file_event(delivery: Delivery, log: EventLog) -> None:
    usecases.file_event(log, delivery, customer_id=_customer_id(delivery.event))


def file_events(log: EventLog, deliveries: Sequence[Delivery]) -> list[bool]:
    return usecases.file_events(log, [(delivery, _customer_id(delivery.event)) for delivery in deliveries])


def _customer_id(event: Event) -> str | None:
    if event.type != ORDER_PLACED:
        return None
    try:
        return str(read(_CUSTOMERS_ORDER, event)["customer_id"])
    except InvalidEventError as error:
        # Store it anyway; only operators can see this order's timeline.
        _log.warning("the event does not name the customer of its order", error=str(error))
        return None


# Created once: a schema copies all its fields at each creation.
_CUSTOMERS_ORDER = CustomersOrder()

HANDLERS = {topology.EVERYTHING: file_event}
