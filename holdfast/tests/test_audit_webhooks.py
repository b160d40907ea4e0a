"""P6: missing, overdue and valid deliveries of an endpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.audit.promises import check_letter
from holdfast.audit.views import ArchivedEvent
from holdfast.audit.webhooks import EndpointView, check_endpoint, expect

READ_AT = "2026-01-31T12:10:00.000000Z"
OWNERS = {"order-1": "customer-1"}
ENDPOINT: dict[str, Any] = {
    "id": "endpoint-1",
    "owner_id": "operator-1",
    "scope": "all",
    "enabled": True,
    "disabled_at": None,
    "last_attempt_at": "2026-01-31T12:00:00.000000Z",
    "deliveries_kept_seconds": 86_400.0,
    "subscriptions": [
        {"event_type": "order.placed.v1", "since": "2026-01-31T11:00:00.000000Z"},
        {"event_type": "stock.sold.v1", "since": None},
    ],
}
VIEW = EndpointView(ENDPOINT, READ_AT)


def event(event_type: str = "order.placed.v1", time: str = "2026-01-31T12:00:00.000000Z") -> ArchivedEvent:
    data = {"order_id": "order-1"}
    return ArchivedEvent("event-1", event_type, "/services/orders", "order-1", 1, time, data)


def delivery(status: str, next_attempt_at: str | None = None) -> dict[str, dict[str, Any]]:
    return {"event-1": {"event_type": "order.placed.v1", "status": status, "next_attempt_at": next_attempt_at}}


def of(**changes: Any) -> EndpointView:
    return replace(VIEW, endpoint=ENDPOINT | changes)


def test_an_event_without_a_delivery_is_found() -> None:
    [finding] = check_endpoint(expect(VIEW, [event()], OWNERS))
    assert (finding.promise, finding.subject) == ("P6", "endpoint-1")
    assert "event-1" in finding.text


@pytest.mark.parametrize("status", ["delivered", "failed", "dismissed"])
def test_a_made_or_listed_delivery_is_accepted(status: str) -> None:
    assert check_endpoint(expect(replace(VIEW, deliveries=delivery(status)), [event()], OWNERS)) == []


@pytest.mark.parametrize(
    "event",
    [
        event("order.cancelled.v1"),
        event("stock.sold.v1"),
        event(time="2026-01-31T10:59:59.000000Z"),
        event(time="2026-01-31T11:00:01.000000Z"),
        event(time="2026-01-30T12:00:00.000000Z"),
    ],
    ids=["not subscribed", "not yet bound", "before", "clocks", "pruned"],
)
def test_events_outside_the_subscription_are_not_missing(event: ArchivedEvent) -> None:
    assert check_endpoint(expect(VIEW, [event], OWNERS)) == []


def test_a_customers_endpoint_must_get_events_of_their_own_orders() -> None:
    own = of(scope="own_orders", owner_id="customer-1")
    foreign = of(scope="own_orders", owner_id="customer-2")
    assert check_endpoint(expect(own, [event()], OWNERS))
    assert check_endpoint(expect(foreign, [event()], OWNERS)) == []
    assert check_endpoint(expect(own, [event()], {})) == []


def test_events_after_the_disabling_are_not_missing() -> None:
    disabled = of(enabled=False, disabled_at="2026-01-31T11:59:00.000000Z")
    assert check_endpoint(expect(disabled, [event()], OWNERS)) == []
    assert check_endpoint(expect(of(disabled_at="2026-01-31T12:00:01.000000Z"), [event()], OWNERS))


@pytest.mark.parametrize(
    ("next_attempt_at", "last_attempt_at", "enabled", "is_broken"),
    [
        ("2026-01-31T12:30:00.000000Z", None, True, False),
        ("2026-01-31T12:09:30.000000Z", None, True, False),
        ("2026-01-31T12:00:00.000000Z", None, True, True),
        ("2026-01-31T12:00:00.000000Z", "2026-01-31T12:05:00.000000Z", True, True),
        ("2026-01-31T12:00:00.000000Z", "2026-01-31T12:09:00.000000Z", True, False),
        ("2026-01-31T12:30:00.000000Z", None, False, True),
        (None, None, True, True),
    ],
    ids=["later", "just now", "never tried", "forgotten", "busy", "nobody will", "no time"],
)
def test_a_waiting_delivery_must_be_attempted_in_time(
    next_attempt_at: str | None, last_attempt_at: str | None, enabled: bool, is_broken: bool
) -> None:
    view = replace(
        of(last_attempt_at=last_attempt_at, enabled=enabled), deliveries=delivery("pending", next_attempt_at)
    )
    assert bool(check_endpoint(view)) is is_broken


def test_an_unknown_delivery_status_is_found() -> None:
    assert check_endpoint(replace(VIEW, deliveries=delivery("lost")))


@pytest.mark.parametrize(
    ("error_class", "is_broken"),
    [
        ("common.errors.Unavailable", True),
        ("psycopg2.OperationalError", True),
        ("pymongo.errors.AutoReconnect", True),
        ("common.errors.Rejected", False),
        ("builtins.KeyError", False),
        ("", False),
    ],
)
def test_a_dead_letter_of_an_outage_breaks_p7(error_class: str, is_broken: bool) -> None:
    letter = {"id": "l", "order_id": None, "event_type": "x", "queue": "orders.events", "error_class": error_class}
    assert [finding.promise for finding in check_letter(letter)] == ["P7"] * is_broken
