"""The rules of webhooks, without a server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from services.notifications.domain import (
    EVENT_TYPES,
    JITTER_RATIO,
    MAX_BODY_BYTES,
    MAX_BREAKER_SECONDS,
    RETRY_SECONDS,
    Health,
    Outcome,
    Policy,
    has_failed_too_long,
    judge,
    make_body,
    may_subscribe,
    next_attempt,
)
from services.notifications.tests.builders import SAMPLES, sample

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
OK, REFUSED = Outcome(200, "", 0.1), Outcome(500, "", 0.1)
POLICY = Policy()
FORBIDDEN = ("payment_method", "email", "password", "recorded_by", "requested_by", "username")


# Published, but deliberately withheld from subscribers.
WITHHELD = {
    "order.placed.v1": {"payment_method"},
    "payment.refund_recorded.v1": {"provider_refund_id", "recorded_by", "reference"},
    "payment.refund_retried.v1": {"requested_by", "reason"},
    "user.registered.v1": {"username"},
}


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for each in value.values() for key in keys_of(each)}
    return {key for each in value for key in keys_of(each)} if isinstance(value, list) else set()


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_body_contains_only_the_fields_listed_for_its_type(event_type: str) -> None:
    event = sample(event_type)
    event.data["email"] = "somebody@shop.example"
    body = json.loads(make_body(event))
    assert set(body["data"]) == set(EVENT_TYPES[event_type].fields), "a listed field is not in the golden sample"
    assert not keys_of(body) & set(FORBIDDEN)
    assert (body["type"], body["id"], body["sequence"]) == (event.type, event.id, event.sequence)
    assert body["timestamp"] == event.time


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_published_field_is_listed_or_explicitly_withheld(event_type: str) -> None:
    left_out = set(sample(event_type).data) - set(EVENT_TYPES[event_type].fields)
    assert left_out == WITHHELD.get(event_type, set()), "add the field to EVENT_TYPES, or here"


def test_only_internal_events_cannot_be_subscribed_to() -> None:
    published = {path.stem for path in SAMPLES.glob("*.json")}
    assert published - set(EVENT_TYPES) == {"attempt.failed.v1", "payment.overdue.v1", "reservation.overdue.v1"}


def test_event_types_of_orders_match_the_golden_samples() -> None:
    for event_type, known in EVENT_TYPES.items():
        assert known.is_of_order == (sample(event_type).orderid is not None)


def test_a_large_event_omits_its_lists_and_names_them() -> None:
    event = sample("order.placed.v1")
    event.data["items"] = [{"sku": "x" * 64, "quantity": 1, "unit_price": {"amount": 1, "currency": "usd"}}] * 500
    text = make_body(event)
    assert len(text.encode()) < MAX_BODY_BYTES
    body = json.loads(text)
    assert "items" in body["omitted"]
    assert body["data"]["order_id"] == event.data["order_id"]


def test_a_long_text_is_truncated() -> None:
    event = sample("payment.refunded.v1", data={"order_id": "1", "reason": "\u20ac" * 50_000})
    assert len(make_body(event).encode()) < MAX_BODY_BYTES


def test_customers_may_subscribe_only_to_order_events() -> None:
    assert may_subscribe("customer", "order.placed.v1")
    assert not may_subscribe("customer", "product.listed.v1")
    assert may_subscribe("operator", "product.listed.v1")
    assert not may_subscribe("operator", "attempt.failed.v1")


@pytest.mark.parametrize("attempts", range(1, len(RETRY_SECONDS)))
def test_retries_follow_the_documented_schedule_with_jitter(attempts: int) -> None:
    for chance in (0.0, 0.5, 1.0):
        due = next_attempt(POLICY, attempts, REFUSED, now=NOW, chance=chance)
        assert due is not None
        assert due - NOW == timedelta(seconds=RETRY_SECONDS[attempts] * (1 + JITTER_RATIO * chance))


def test_no_retry_follows_the_last_attempt() -> None:
    assert next_attempt(POLICY, len(RETRY_SECONDS), REFUSED, now=NOW, chance=0) is None


def test_retry_after_is_honoured_within_a_bound() -> None:
    outcome = Outcome(503, "", 0.1, retry_after_seconds=77.0)
    assert next_attempt(POLICY, 1, outcome, now=NOW, chance=0) == NOW + timedelta(seconds=77)
    assert judge(POLICY, Health(), outcome, now=NOW).open_until == NOW + timedelta(seconds=77)
    endless = Outcome(503, "", 0.1, retry_after_seconds=1e9)
    assert next_attempt(POLICY, 1, endless, now=NOW, chance=0) == NOW + timedelta(days=1)


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 307, 308, 400, 404, 429, 500, 503, None])
def test_only_a_2xx_response_counts_as_delivered(status: int | None) -> None:
    assert not Outcome(status, "", 0).is_delivered
    assert Outcome(204, "", 0).is_delivered


def test_the_breaker_opens_after_consecutive_failures_and_closes_after_a_success() -> None:
    health = Health()
    for failures in range(1, POLICY.max_failures):
        health = judge(POLICY, health, REFUSED, now=NOW)
        assert (health.consecutive_failures, health.open_until) == (failures, None)
    health = judge(POLICY, health, REFUSED, now=NOW)
    assert health.open_until == NOW + timedelta(seconds=POLICY.breaker_seconds)
    assert health.is_suspect
    assert judge(POLICY, health, OK, now=NOW) == Health()


@given(integers(min_value=0, max_value=10_000), floats(min_value=0, max_value=1e9))
def test_the_breakers_backoff_is_bounded(failures: int, retry_after: float) -> None:
    health = Health(consecutive_failures=failures, failing_since=NOW)
    judged = judge(POLICY, health, Outcome(500, "", 0, retry_after_seconds=retry_after), now=NOW)
    assert judged.open_until is None or judged.open_until <= NOW + timedelta(seconds=max(MAX_BREAKER_SECONDS, 86_400))


def test_days_of_failures_disable_and_one_success_resets_the_count() -> None:
    later = NOW + timedelta(seconds=POLICY.disable_after_seconds)
    failing = judge(POLICY, Health(), REFUSED, now=NOW)
    assert not has_failed_too_long(POLICY, failing, now=later - timedelta(seconds=1))
    assert has_failed_too_long(POLICY, judge(POLICY, failing, REFUSED, now=later), now=later)
    assert not has_failed_too_long(POLICY, judge(POLICY, failing, OK, now=later), now=later)


def test_a_slow_response_makes_an_endpoint_suspect() -> None:
    assert judge(POLICY, Health(), Outcome(200, "", 5.0), now=NOW).is_suspect
    assert not judge(POLICY, Health(is_suspect=True), OK, now=NOW).is_suspect


def test_a_redirect_is_reported_as_not_followed() -> None:
    assert Outcome(301, "", 0).description == "answered 301: redirects are not followed"
    assert Outcome(410, "", 0).is_gone
