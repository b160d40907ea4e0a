"""What the archive does: files every event once, and tells what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import NotFound, Rejected
from common.messaging.events import utc_now
from common.messaging.inbox import AlreadyHandled
from common.resilience.crash_points import crash_point
from services.archive import domain, models

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.messaging.inbox import Delivery
    from common.web.pagination import Page
    from services.archive.domain import Entry, Filter, Step
    from services.archive.event_log import EventLog

    Documents = Database[dict[str, Any]]

MAX_TIMELINE = 1_000


class EventIdReusedError(Rejected):
    """Another event is filed under this id: both must be seen, so this one becomes a dead letter."""

    code = "event_id_reused"


class UnknownCursorError(Rejected):
    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class Timeline:
    """`has_more`: the order has more entries than are ever shown."""

    steps: list[Step]
    has_more: bool


def file_event(log: EventLog, delivery: Delivery, *, customer_id: str | None) -> None:
    """File the event, once. Raises `AlreadyHandled` for a duplicate; `customer_id` says whose order it tells of."""
    event = delivery.event
    crash_point("archive.filing")
    if log.append(models.event_document(event, customer_id=customer_id, received_at=utc_now())):
        crash_point("archive.filed")
        return
    if not models.holds(log.database, event):
        message = f"another event is filed as {event.id}"
        raise EventIdReusedError(message)
    raise AlreadyHandled


def get_timeline(database: Documents, order_id: str, *, customer_id: str | None) -> Timeline:
    """What happened to an order, told in order. `customer_id` None sees all, a customer only what is theirs."""
    if customer_id is not None and not models.is_order_of(database, order_id, customer_id):
        raise NotFound("no such order")
    entries = models.timeline(database, order_id, limit=MAX_TIMELINE + 1)
    if not entries:
        raise NotFound("no such order")
    return Timeline(domain.in_order(entries[:MAX_TIMELINE]), has_more=len(entries) > MAX_TIMELINE)


def list_events(database: Documents, wanted: Filter, page: Page) -> list[Entry]:
    """The newest first; `page.fetch` of them at most."""
    after = None
    if page.starting_after is not None:
        at = models.moment_of(database, page.starting_after)
        if at is None:
            raise UnknownCursorError("unknown cursor", errors={"starting_after": ["No such event."]})
        after = (at, page.starting_after)
    return models.page(database, wanted, after=after, limit=page.fetch)
