"""Archive use cases: store every event once, and read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import NotFound, Rejected
from common.messaging.events import utc_now
from common.messaging.inbox import AlreadyHandled
from common.resilience.crash_points import crash_point
from services.archive import domain, models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.database import Database

    from common.messaging.inbox import Delivery
    from common.web.pagination import Page
    from services.archive.domain import Entry, Filter, Step
    from services.archive.event_log import EventLog

    Documents = Database[dict[str, Any]]

MAX_TIMELINE = 1_000


class EventIdReusedError(Rejected):
    """Another event with this id is stored: keep both, so this one becomes a dead letter."""

    code = "event_id_reused"


class UnknownCursorError(Rejected):
    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class Timeline:
    """`has_more`: the order has more entries than are returned."""

    steps: list[Step]
    has_more: bool


def file_event(log: EventLog, delivery: Delivery, *, customer_id: str | None) -> None:
    """Store the event, once. Raises `AlreadyHandled` for a duplicate; `customer_id` is the customer of its order."""
    if not file_events(log, [(delivery, customer_id)])[0]:
        raise AlreadyHandled


def file_events(log: EventLog, deliveries: Sequence[tuple[Delivery, str | None]]) -> list[bool]:
    """Store events, each with the customer of its order, in one write; returns which were new.

    Raises if one cannot be stored. The others may then be stored: storing them again is idempotent.
    """
    crash_point("archive.filing")
    now = utc_now()
    documents = [
        models.event_document(delivery.event, customer_id=customer_id, received_at=now)
        for delivery, customer_id in deliveries
    ]
    are_new = log.append_all(documents)
    crash_point("archive.filed")
    for (delivery, _), is_new in zip(deliveries, are_new, strict=True):
        if not is_new and not models.holds(log.database, delivery.event):
            message = f"another event is stored as {delivery.event.id}"
            raise EventIdReusedError(message)
    return are_new


def get_timeline(database: Documents, order_id: str, *, customer_id: str | None) -> Timeline:
    """The timeline of an order. `customer_id` None sees all, a customer only their own orders."""
    if customer_id is not None and not models.is_order_of(database, order_id, customer_id):
        raise NotFound("no such order")
    entries = models.timeline(database, order_id, limit=MAX_TIMELINE + 1)
    if not entries:
        raise NotFound("no such order")
    return Timeline(domain.in_order(entries[:MAX_TIMELINE]), has_more=len(entries) > MAX_TIMELINE)


def list_events(database: Documents, criteria: Filter, page: Page) -> list[Entry]:
    """Newest first; at most `page.fetch`."""
    after = None
    if page.starting_after is not None:
        at = models.moment_of(database, page.starting_after)
        if at is None:
            raise UnknownCursorError("unknown cursor", errors={"starting_after": ["No such event."]})
        after = (at, page.starting_after)
    return models.page(database, criteria, after=after, limit=page.fetch)
