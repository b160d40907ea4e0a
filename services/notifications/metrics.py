"""Metrics of webhooks. No label names an endpoint: there may be thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from services.notifications.domain import Outcome

ATTEMPTS = Counter(
    "holdfast_webhook_attempts",
    "Attempts to deliver a webhook: delivered, answered (other than 2xx), error (no response)",
    ["outcome"],
)
SECONDS = Histogram("holdfast_webhook_attempt_seconds", "Duration of an attempt to deliver a webhook")
DISABLED = Counter("holdfast_webhook_endpoints_disabled", "Endpoints disabled after 410 or days of failure", ["reason"])
RECORDED = Counter("holdfast_webhook_deliveries_recorded", "Recorded deliveries")
OVERDUE = Gauge("holdfast_webhook_turn_overdue_seconds", "How long the longest-waiting endpoint has been due")


def count_attempt(outcome: Outcome) -> None:
    kind = "delivered" if outcome.is_delivered else "answered" if outcome.status_code else "error"
    ATTEMPTS.labels(kind).inc()
    SECONDS.observe(outcome.seconds)
