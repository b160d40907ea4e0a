"""P6 from outside: each event that an endpoint subscribed to has a delivery that is made, waiting, or listed as failed.

An endpoint's `subscriptions` say since when events of a type are delivered. A dismissed delivery was listed as failed
before. Successful deliveries are pruned by age: older events cannot be checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests

from holdfast.audit.views import Finding
from holdfast.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from holdfast.audit.views import ArchivedEvent
    from holdfast.client import Client

PENDING = "pending"
SETTLED = frozenset({"delivered", "failed", "dismissed"})
CLOCKS_SECONDS = 5.0  # the tolerated clock skew between publisher and subscriber
OVERDUE_SECONDS = 60.0
# A busy or slow endpoint is late with each delivery, but gets its turns.
BUSY_SECONDS = 120.0
KEPT = ("event_id", "event_type", "status", "next_attempt_at")


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint, its deliveries by event, and the events without a delivery."""

    endpoint: dict[str, Any]
    read_at: str
    deliveries: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: tuple[ArchivedEvent, ...] = ()

    @property
    def id(self) -> str:
        return str(self.endpoint["id"])


def read_endpoints(
    client: Client, events: Collection[ArchivedEvent], owners: Mapping[str, str]
) -> dict[str, EndpointView]:
    """All endpoints; none if the system has no webhooks. `events` were read before, `owners` maps orders to customers.

    An event of an order that is not in `owners` has no owner.
    """
    try:
        endpoints = list(client.all("/api/v1/webhook-endpoints"))
    except ApiError as error:
        if error.status == requests.codes.not_found:
            return {}
        raise
    found = (_read(client, endpoint["id"]) for endpoint in endpoints)
    return {view.id: expect(view, events, owners) for view in found if view}


def read_again(client: Client, views: Iterable[EndpointView], owners: Mapping[str, str]) -> dict[str, EndpointView]:
    """The same endpoints, now; those that were deleted are left out."""
    found = ((old, _read(client, old.id)) for old in views)
    return {old.id: expect(view, old.missing, owners) for old, view in found if view}


def expect(view: EndpointView, events: Iterable[ArchivedEvent], owners: Mapping[str, str]) -> EndpointView:
    """The view with the events that should have a delivery and have none."""
    missing = (event for event in events if event.id not in view.deliveries and _is_subscribed(view, event, owners))
    return replace(view, missing=tuple(missing))


def check_endpoint(view: EndpointView) -> list[Finding]:
    """The violations."""
    return [Finding("P6", view.id, text) for text in _problems(view)]


def _problems(view: EndpointView) -> Iterator[str]:
    for event in view.missing:
        yield f"no delivery of {event.type} {event.id} ({event.subject})"
    for event_id, delivery in view.deliveries.items():
        if delivery["status"] == PENDING and _is_forgotten(view, delivery):
            yield f"{delivery['event_type']} {event_id} is due and is not sent"
        elif delivery["status"] not in {PENDING, *SETTLED}:
            yield f"{event_id} is {delivery['status']}"


def _read(client: Client, endpoint_id: str) -> EndpointView | None:
    """None if it was deleted. The endpoint is read last: it must not be older than its deliveries."""
    path = f"/api/v1/webhook-endpoints/{endpoint_id}"
    try:
        found = {each["event_id"]: {name: each[name] for name in KEPT} for each in client.all(f"{path}/deliveries")}
        endpoint = client.get(path)
    except ApiError as error:
        if error.status == requests.codes.not_found:
            return None
        raise
    return EndpointView(endpoint, _rfc3339(datetime.now(UTC)), found)


def _is_subscribed(view: EndpointView, event: ArchivedEvent, owners: Mapping[str, str]) -> bool:
    endpoint = view.endpoint
    since = next((each["since"] for each in endpoint["subscriptions"] if each["event_type"] == event.type), None)
    if since is None or _moment(event.time) < _moment(since) + timedelta(seconds=CLOCKS_SECONDS):
        return False
    if endpoint["disabled_at"] and _moment(event.time) >= _moment(endpoint["disabled_at"]):
        return False
    retention = timedelta(seconds=endpoint["deliveries_kept_seconds"])
    if _moment(event.time) + retention < _moment(view.read_at) + timedelta(seconds=OVERDUE_SECONDS):
        return False
    return bool(
        endpoint["scope"] == "all" or owners.get(event.data.get("order_id", event.subject)) == endpoint["owner_id"]
    )


def _is_forgotten(view: EndpointView, delivery: Mapping[str, Any]) -> bool:
    now, last = _moment(view.read_at), view.endpoint["last_attempt_at"]
    if not delivery["next_attempt_at"] or not view.endpoint["enabled"]:
        return True  # it is never sent
    if _moment(delivery["next_attempt_at"]) + timedelta(seconds=OVERDUE_SECONDS) > now:
        return False
    return last is None or _moment(last) + timedelta(seconds=BUSY_SECONDS) < now


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
