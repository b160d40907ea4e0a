"""What the archive does when it hears of something: it files it, whatever it is."""

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
        # It is filed all the same; but only operators will see this order's timeline.
        _log.warning("an order without a customer", error=str(error))
        return None


# Made once: a schema copies all its fields whenever it is made.
_CUSTOMERS_ORDER = CustomersOrder()

HANDLERS = {topology.EVERYTHING: file_event}
