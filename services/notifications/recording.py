"""Records one delivery of an event for each endpoint that subscribed to it.

Guarantee: when `record_event` returns, each matching endpoint has its delivery (endpoint and event id are unique), or
the event waits for the owner of its order. An endpoint that is disabled gets its delivery as failed, for
`RECORDED_WHILE_DISABLED_SECONDS`; one that is deleted concurrently gets none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.messaging.events import from_json, utc_now
from common.resilience.crash_points import crash_point
from services.notifications import deliveries, models, owners
from services.notifications.domain import EVENT_TYPES, Reason, Status, make_body
from services.notifications.resending import new_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pymongo.database import Database

    from common.messaging.events import Event

    Documents = Database[dict[str, Any]]
    Document = dict[str, Any]

RECORDED_WHILE_DISABLED_SECONDS = 30 * 86_400


def note_owner(database: Documents, order_id: str, customer_id: str) -> int:
    """Store the owner of an order, and record its waiting events; returns the number of new deliveries."""
    owners.note(database, order_id, customer_id, now=utc_now())
    count = 0
    for event_id, document in owners.waiting(database, order_id):
        count += _record(database, from_json(document), customer_id)
        owners.forget(database, event_id)
    return count


def record_event(database: Documents, event: Event) -> int:
    """Record its deliveries; returns how many are new. An event type without subscriptions has none."""
    known = EVENT_TYPES.get(event.type)
    if known is None:
        return 0
    if not known.is_of_order or event.orderid is None:
        return _record(database, event, None)
    customer_id = owners.owner_of(database, event.orderid)
    if customer_id is None and models.has_customers(database, event.type):
        owners.put_aside(database, event.id, event.orderid, event.to_json(), now=utc_now())
        crash_point("notifications.put_aside")
        customer_id = owners.owner_of(database, event.orderid)  # it may have arrived in between
    count = _record(database, event, customer_id)
    if customer_id is not None:
        owners.forget(database, event.id)
    return count


def _record(database: Documents, event: Event, customer_id: str | None) -> int:
    found = models.subscribers(database, event.type, customer_id=customer_id)
    now = utc_now()
    active = [each["_id"] for each in found if each["enabled"]]
    disabled = [each["_id"] for each in found if not each["enabled"] and _is_recorded(each, now)]
    if not active and not disabled:
        return 0
    body = make_body(event)
    event_fields = {"id": event.id, "type": event.type, "order_id": event.orderid}
    rows = [new_delivery(endpoint_id, event_fields, body, now=now) for endpoint_id in active]
    failed = {"status": Status.FAILED, "reason": Reason.ENDPOINT_DISABLED}
    rows += [new_delivery(endpoint_id, event_fields, body, now=now) | failed for endpoint_id in disabled]
    count = deliveries.insert(database, rows)
    crash_point("notifications.recorded")
    _wake(database, active, now)
    return count


def _wake(database: Documents, endpoint_ids: Sequence[str], now: datetime) -> None:
    """Mark the endpoints as due, and correct deliveries of endpoints that were disabled or deleted since they were
    read.
    """
    awake = models.wake(database, endpoint_ids, now=now)
    for endpoint_id in set(endpoint_ids) - awake:
        if models.get(database, endpoint_id) is None:
            deliveries.delete_of(database, [endpoint_id])
        else:
            deliveries.fail_pending(database, endpoint_id, reason=Reason.ENDPOINT_DISABLED)


def _is_recorded(endpoint: Document, now: datetime) -> bool:
    since: datetime = endpoint["disabled_at"]
    return (now - since).total_seconds() < RECORDED_WHILE_DISABLED_SECONDS
