"""Rules of webhooks: the events for subscribers, the content of a body, the retry schedule. Pure.

A body contains only the fields listed here for its event type, so a field that a producer adds later (a payment method,
an e-mail address) is not sent automatically.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from common.messaging.events import Event

OPERATOR, CUSTOMER = "operator", "customer"
TEST_EVENT = "webhook.test.v1"
DISABLED_EVENT = "webhook_endpoint.disabled.v1"  # for the other endpoints of its owner
MAX_BODY_BYTES = 20_000
# Seconds before each attempt (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
RETRY_SECONDS = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
JITTER_RATIO = 0.1
MAX_RETRY_AFTER_SECONDS = 86_400.0
BREAKER_SECONDS, MAX_BREAKER_SECONDS = 10.0, 600.0
SLOW_SECONDS = 1.0
_OK, _REDIRECT, _GONE = range(200, 300), range(300, 400), 410


class Status(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISMISSED = "dismissed"


class Reason(StrEnum):
    """Why a delivery failed, or an endpoint is disabled."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    GONE = "gone"
    FAILING = "failing"
    REQUESTED = "requested"
    ENDPOINT_DISABLED = "endpoint_disabled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt: the status of the response, or an error."""

    status_code: int | None
    error: str
    seconds: float
    retry_after_seconds: float = 0.0

    @property
    def is_delivered(self) -> bool:
        return self.status_code in _OK

    @property
    def is_gone(self) -> bool:
        return self.status_code == _GONE

    @property
    def description(self) -> str:
        if self.status_code in _REDIRECT:
            return f"answered {self.status_code}: redirects are not followed"
        return self.error or f"answered {self.status_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The recent responses of an endpoint: its circuit breaker, stored with it so that all workers share it."""

    consecutive_failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None
    is_suspect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules that settings define."""

    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    max_failures: int = 5
    breaker_seconds: float = BREAKER_SECONDS
    disable_after_seconds: float = 5 * 86_400.0
    kept_seconds: float = 30 * 86_400.0


def next_attempt(policy: Policy, attempts: int, outcome: Outcome, *, now: datetime, chance: float) -> datetime | None:
    """When to retry after `attempts` failed attempts; None after the last. `chance` is a random ratio, 0 to 1."""
    if attempts >= len(policy.retry_seconds):
        return None
    planned = policy.retry_seconds[attempts] * (1 + JITTER_RATIO * chance)
    return now + timedelta(seconds=max(planned, min(outcome.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)))


def judge(policy: Policy, health: Health, outcome: Outcome, *, now: datetime) -> Health:
    """The endpoint's health after an attempt. An open breaker admits one attempt at a time, with backoff."""
    if outcome.is_delivered:
        return Health(is_suspect=outcome.seconds > SLOW_SECONDS)
    failures = health.consecutive_failures + 1
    wait = min(outcome.retry_after_seconds, MAX_RETRY_AFTER_SECONDS)
    if failures >= policy.max_failures:
        doubled = policy.breaker_seconds * 2.0 ** min(failures - policy.max_failures, 16)
        wait = max(wait, min(doubled, MAX_BREAKER_SECONDS))
    return replace(
        health,
        consecutive_failures=failures,
        failing_since=health.failing_since or now,
        open_until=now + timedelta(seconds=wait) if wait else None,
        is_suspect=True,
    )


def has_failed_too_long(policy: Policy, health: Health, *, now: datetime) -> bool:
    """Whether to disable the endpoint: several attempts over days failed."""
    since = health.failing_since
    return since is not None and (now - since).total_seconds() >= policy.disable_after_seconds


def make_body(event: Event) -> str:
    """The body of a webhook: Standard Webhooks' `type`, `timestamp` and `data`, and what identifies the event.

    If the body would be larger than `MAX_BODY_BYTES`, lists are omitted and named in `omitted`.
    """
    data = {name: event.data[name] for name in EVENT_TYPES[event.type].fields if name in event.data}
    body = _encode(event, data, ())
    if len(body.encode()) < MAX_BODY_BYTES:
        return body
    omitted = tuple(name for name, value in data.items() if isinstance(value, list | dict))
    short = {name: value for name, value in data.items() if name not in omitted}
    return _encode(event, {name: _cut(value) for name, value in short.items()}, omitted)


def make_own_body(event_type: str, event_id: str, data: Mapping[str, Any], *, now: str) -> str:
    """The body of an event about webhooks themselves."""
    body = {"type": event_type, "timestamp": now, "id": event_id, "sequence": 1, "data": data}
    return json.dumps(body, separators=(",", ":"))


def may_subscribe(role: str, event_type: str) -> bool:
    """Whether callers of that role may subscribe to an event type: customers only to events of orders and endpoints."""
    if event_type == DISABLED_EVENT:
        return True
    known = EVENT_TYPES.get(event_type)
    return known is not None and (role == OPERATOR or known.is_of_order)


def _encode(event: Event, data: Mapping[str, Any], omitted: Sequence[str]) -> str:
    body: dict[str, Any] = {
        "type": event.type,
        "timestamp": event.time,
        "id": event.id,
        "source": event.source,
        "subject": event.subject,
        "sequence": event.sequence,
        "data": data,
    }
    if omitted:
        body["omitted"] = list(omitted)
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def _cut(value: Any) -> Any:
    return value[:1000] if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class EventType:
    """The fields of an event type for subscribers, and whether it belongs to an order and so to its customer."""

    fields: tuple[str, ...]
    is_of_order: bool = True


_PAYMENT = ("order_id", "payment_id", "amount")
_PRODUCT = EventType(("sku", "name", "price"), is_of_order=False)
EVENT_TYPES: Mapping[str, EventType] = {
    "order.placed.v1": EventType(("order_id", "customer_id", "items", "total")),
    "order.confirmed.v1": EventType(("order_id", "customer_id", "total")),
    "order.cancelled.v1": EventType(("order_id", "customer_id", "reason")),
    "stock.reserved.v1": EventType(("order_id", "items")),
    "stock.rejected.v1": EventType(("order_id", "reason", "sku")),
    "stock.released.v1": EventType(("order_id", "items")),
    "stock.sold.v1": EventType(("order_id", "items")),
    "payment.captured.v1": EventType(_PAYMENT),
    "payment.declined.v1": EventType((*_PAYMENT, "code")),
    "payment.refunded.v1": EventType((*_PAYMENT, "refund_id", "refunded", "kind", "reason")),
    "payment.refund_refused.v1": EventType((*_PAYMENT, "code", "tries")),
    "payment.refund_retried.v1": EventType(_PAYMENT),
    "payment.refund_recorded.v1": EventType((*_PAYMENT, "refund_id", "refunded", "reason")),
    "product.listed.v1": _PRODUCT,
    "product.changed.v1": _PRODUCT,
    "stock.adjusted.v1": EventType(("sku", "delta", "reason", "on_hand"), is_of_order=False),
    "user.registered.v1": EventType(("user_id",), is_of_order=False),
}
