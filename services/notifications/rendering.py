"""Endpoints and deliveries as the API returns them. Pure: never contains a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common.messaging.events import rfc3339
from services.notifications.domain import OPERATOR, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.notifications.domain import Policy


def render_endpoint(endpoint: Mapping[str, Any], policy: Policy, *, secret: str | None = None) -> dict[str, Any]:
    shown = {name: endpoint[name] for name in ("owner_id", "url", "description", "event_types", "enabled")}
    moments = ("disabled_at", "failing_since", "last_attempt_at", "last_success_at", "created_at")
    subscriptions = [
        {"event_type": each["event_type"], "since": _moment(each["since"])} for each in endpoint["subscriptions"]
    ]
    return (
        {"id": endpoint["_id"], "scope": "all" if endpoint["role"] == OPERATOR else "own_orders"}
        | shown
        | {"subscriptions": subscriptions, "disabled_reason": endpoint.get("disabled_reason")}
        | {"consecutive_failures": endpoint.get("consecutive_failures", 0)}
        | {name: _moment(endpoint.get(name)) for name in moments}
        | {"deliveries_kept_seconds": policy.kept_seconds}
        | {"paused_until": _moment(endpoint.get("open_until"))}
        | {"previous_secrets_until": [rfc3339(each["until"]) for each in endpoint["previous_secrets"]]}
        | ({"secret": secret} if secret else {})
    )


def render_delivery(endpoint: Mapping[str, Any], delivery: Mapping[str, Any]) -> dict[str, Any]:
    names = ("endpoint_id", "event_id", "event_type", "order_id", "status", "reason", "attempts", "attempts_total")
    is_pending = delivery["status"] == Status.PENDING
    return (
        {"id": delivery["_id"]}
        | {name: delivery[name] for name in names}
        | {
            "next_attempt_at": _moment(_next_attempt(endpoint, delivery) if is_pending else None),
            "created_at": rfc3339(delivery["created_at"]),
            "delivered_at": _moment(delivery.get("delivered_at")),
            "history": [each | {"at": rfc3339(each["at"])} for each in delivery["history"]],
        }
    )


def _next_attempt(endpoint: Mapping[str, Any], delivery: Mapping[str, Any]) -> datetime:
    due: datetime = delivery["due_at"]
    open_until: datetime | None = endpoint.get("open_until")
    return max(due, open_until) if open_until else due


def _moment(value: datetime | None) -> str | None:
    return rfc3339(value) if value else None
