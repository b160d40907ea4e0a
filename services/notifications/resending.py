"""Use cases of deliveries, for the owners of their endpoints: list, resend, dismiss, test."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from common.errors import Conflict
from common.messaging.events import new_id, rfc3339, utc_now
from common.security.visibility import require_visible
from services.notifications import deliveries, models
from services.notifications.domain import TEST_EVENT, Status, make_own_body
from services.notifications.usecases import UnknownCursorError, get_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pymongo.database import Database

    from common.security.tokens import Caller
    from common.web.pagination import Page
    from services.notifications.domain import Policy

    Documents = Database[dict[str, Any]]
    Document = dict[str, Any]


class EndpointDisabledError(Conflict):
    code = "endpoint_disabled"


class NotDismissableError(Conflict):
    code = "delivery_not_failed"


def new_delivery(endpoint_id: str, event: Mapping[str, Any], body: str, *, now: datetime) -> Document:
    """A delivery that is due now. `event` has `id`, `type` and `order_id`."""
    return {
        "_id": new_id(),
        "endpoint_id": endpoint_id,
        "event_id": event["id"],
        "event_type": event["type"],
        "order_id": event["order_id"],
        "body": body,
        "status": Status.PENDING,
        "reason": None,
        "attempts": 0,
        "attempts_total": 0,
        "due_at": now,
        "created_at": now,
        "history": [],
    }


def send_test(database: Documents, caller: Caller, endpoint_id: str, event_id: str) -> Document:
    """Record a test event for an endpoint; idempotent by id. Raises `EndpointDisabledError`."""
    endpoint = get_endpoint(database, caller, endpoint_id)
    _require_enabled(endpoint)
    now = utc_now()
    body = make_own_body(TEST_EVENT, event_id, {"endpoint_id": endpoint_id}, now=rfc3339(now))
    event = {"id": event_id, "type": TEST_EVENT, "order_id": None}
    deliveries.insert(database, [new_delivery(endpoint_id, event, body, now=now)])
    models.wake(database, [endpoint_id], now=now)
    return deliveries.page(database, endpoint_id, {"event_id": event_id}, before=None, limit=1)[0]


def list_deliveries(
    database: Documents, caller: Caller, endpoint_id: str, filters: Mapping[str, str], page: Page
) -> tuple[Document, list[Document]]:
    """The endpoint, and its deliveries, newest first."""
    endpoint = get_endpoint(database, caller, endpoint_id)
    before = page.starting_after
    if before is not None:
        known = deliveries.get(database, before)
        if known is None or known["endpoint_id"] != endpoint_id:
            raise UnknownCursorError("unknown cursor", errors={"starting_after": ["No such delivery."]})
    return endpoint, deliveries.page(database, endpoint_id, filters, before=before, limit=page.fetch)


def list_deliveries_of_order(
    database: Documents, caller: Caller, order_id: str, page: Page
) -> list[tuple[Document, Document]]:
    """Each delivery of the order's events to the caller's endpoints (an operator: to all), with its endpoint.

    Newest first.
    """
    before = page.starting_after
    own = None if caller.is_operator else models.ids_of_owner(database, caller.id)
    if before is not None:
        known = deliveries.get(database, before)
        if known is None or known["order_id"] != order_id or (own is not None and known["endpoint_id"] not in own):
            raise UnknownCursorError("unknown cursor", errors={"starting_after": ["No such delivery."]})
    found = deliveries.page_of_order(database, order_id, endpoint_ids=own, before=before, limit=page.fetch)
    endpoints = models.by_id(database, sorted({each["endpoint_id"] for each in found}))
    return [(endpoints.get(each["endpoint_id"], {}), each) for each in found]


def resend_delivery(database: Documents, caller: Caller, delivery_id: str) -> tuple[Document, Document]:
    """Resend a delivery, whatever its outcome. Raises `EndpointDisabledError`."""
    endpoint, _ = get_delivery(database, caller, delivery_id)
    _require_enabled(endpoint)
    now = utc_now()
    deliveries.resend(database, {"_id": delivery_id, "status": {"$ne": Status.PENDING}}, now=now)
    models.wake(database, [endpoint["_id"]], now=now)
    return get_delivery(database, caller, delivery_id)


def resend_failed(
    database: Documents, caller: Caller, endpoint_id: str, *, since: datetime, event_type: str | None
) -> int:
    """Resend all failed deliveries of an endpoint created since then; returns how many."""
    _require_enabled(get_endpoint(database, caller, endpoint_id))
    query: Document = {"endpoint_id": endpoint_id, "status": Status.FAILED, "created_at": {"$gte": since}}
    if event_type is not None:
        query["event_type"] = event_type
    now = utc_now()
    count = deliveries.resend(database, query, now=now)
    models.wake(database, [endpoint_id], now=now)
    return count


def dismiss_delivery(
    database: Documents, policy: Policy, caller: Caller, delivery_id: str
) -> tuple[Document, Document]:
    """Dismiss a failed delivery; a dismissed one is returned unchanged. Raises `NotDismissableError`."""
    get_delivery(database, caller, delivery_id)
    now = utc_now()
    expires_at = now + timedelta(seconds=policy.kept_seconds)
    deliveries.dismiss(database, delivery_id, by=caller.id, now=now, expires_at=expires_at)
    endpoint, delivery = get_delivery(database, caller, delivery_id)
    if delivery["status"] != Status.DISMISSED:
        message = f"only failed deliveries can be dismissed: this one is {delivery['status']}"
        raise NotDismissableError(message)
    return endpoint, delivery


def get_delivery(database: Documents, caller: Caller, delivery_id: str) -> tuple[Document, Document]:
    """The delivery and its endpoint. Raises `NotFound` if it does not exist, or is not the caller's."""
    delivery = deliveries.get(database, delivery_id)
    endpoint = models.get(database, delivery["endpoint_id"]) if delivery else None
    both = (endpoint, delivery) if endpoint and delivery else None
    return require_visible(both, endpoint["owner_id"] if endpoint else None, caller.viewer_id, what="delivery")


def _require_enabled(endpoint: Mapping[str, Any]) -> None:
    if not endpoint["enabled"]:
        raise EndpointDisabledError("the endpoint is disabled: enable it first")
