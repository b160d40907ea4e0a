"""Records one delivery of an event for each endpoint that subscribed to it.

Guarantee: when `record_events` returns, each matching endpoint has its delivery (endpoint and event id are unique), or
the event waits for the owner of its order. An endpoint that is disabled gets its delivery as failed, for
`RECORDED_WHILE_DISABLED_SECONDS`; one that is deleted concurrently gets none. If it raises, some deliveries may be
recorded: recording the events again, together or alone, is idempotent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.messaging.events import from_json, utc_now
from common.resilience.crash_points import crash_point
from services.notifications import deliveries, models, owners
from services.notifications.domain import EVENT_TYPES, OPERATOR, Reason, Status, make_body
from services.notifications.resending import new_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pymongo.database import Database

    from common.messaging.events import Event

    Documents = Database[dict[str, Any]]
    Document = dict[str, Any]

RECORDED_WHILE_DISABLED_SECONDS = 30 * 86_400


def record_events(database: Documents, incoming: Sequence[tuple[Event, str | None]]) -> int:
    """Record the deliveries of events, each with the customer that it names; returns how many are new."""
    named = {event.orderid: customer_id for event, customer_id in incoming if event.orderid and customer_id}
    count = note_owners(database, named) if named else 0
    events = [event for event, _ in incoming if event.type in EVENT_TYPES]
    # An event that names its owner never waits for one.
    unnamed = [event for event in events if _order_of(event) and event.orderid not in named]
    found = _find_owners(database, unnamed) if unnamed else {}
    known = named | found
    count += _record(database, [(event, known.get(_order_of(event))) for event in events])
    if was_waiting := [event.id for event in unnamed if event.orderid in found]:
        owners.forget(database, was_waiting)
    return count


def note_owners(database: Documents, named: Mapping[str, str]) -> int:
    """Store the owners of orders, and record the events that wait for them; returns the number of new deliveries."""
    owners.note(database, named, now=utc_now())
    count = 0
    while waiting := owners.waiting(database, named.keys()):
        count += _record(database, [(from_json(each["event"]), named[each["order_id"]]) for each in waiting])
        owners.forget(database, [each["_id"] for each in waiting])
    return count


def _find_owners(database: Documents, events: Sequence[Event]) -> dict[str, str]:
    """The known owners of these events' orders; the other events wait if a customer may have subscribed to them."""
    found = owners.of_orders(database, {_order_of(event) for event in events})
    unknown = [event for event in events if _order_of(event) not in found]
    if unknown and models.has_customers(database, {event.type for event in unknown}):
        owners.put_aside(database, unknown, now=utc_now())
        crash_point("notifications.put_aside")
        # They may have arrived in between.
        found |= owners.of_orders(database, {_order_of(event) for event in unknown})
    return found


def _record(database: Documents, events: Sequence[tuple[Event, str | None]]) -> int:
    """Record the deliveries of events, each with the owner of its order."""
    types, customer_ids = {event.type for event, _ in events}, {owner for _, owner in events if owner is not None}
    found = models.subscribers(database, types, customer_ids=customer_ids) if events else []
    now = utc_now()
    rows: list[Document] = []
    for event, owner in events:
        if subscribers := [each for each in found if _is_for(each, event, owner)]:
            rows += _deliveries(event, subscribers, now)
    if not rows:
        return 0
    count = deliveries.insert(database, rows)
    crash_point("notifications.recorded")
    _wake(database, {row["endpoint_id"] for row in rows if row["status"] == Status.PENDING}, now)
    return count


def _deliveries(event: Event, endpoints: Sequence[Document], now: datetime) -> list[Document]:
    body = make_body(event)
    event_fields = {"id": event.id, "type": event.type, "order_id": event.orderid}
    failed = {"status": Status.FAILED, "reason": Reason.ENDPOINT_DISABLED}
    return [
        new_delivery(each["_id"], event_fields, body, now=now) | ({} if each["enabled"] else failed)
        for each in endpoints
        if each["enabled"] or _is_recorded(each, now)
    ]


def _wake(database: Documents, endpoint_ids: set[str], now: datetime) -> None:
    """Mark the endpoints as due, and correct deliveries of endpoints that were disabled or deleted since they were
    read.
    """
    for endpoint_id in endpoint_ids - models.wake(database, endpoint_ids, now=now):
        if models.get(database, endpoint_id) is None:
            deliveries.delete_of(database, [endpoint_id])
        else:
            deliveries.fail_pending(database, endpoint_id, reason=Reason.ENDPOINT_DISABLED)


def _order_of(event: Event) -> str:
    """The order that an event belongs to, whose customer may receive it; empty if there is none."""
    return (event.orderid or "") if EVENT_TYPES[event.type].is_of_order else ""


def _is_for(endpoint: Document, event: Event, owner: str | None) -> bool:
    is_visible = endpoint["role"] == OPERATOR or endpoint["owner_id"] == owner
    return is_visible and event.type in endpoint["event_types"]


def _is_recorded(endpoint: Document, now: datetime) -> bool:
    since: datetime = endpoint["disabled_at"]
    return (now - since).total_seconds() < RECORDED_WHILE_DISABLED_SECONDS
