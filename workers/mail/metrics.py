"""Metrics of e-mail. No label names an order or a customer."""

from __future__ import annotations

from prometheus_client import Counter

MAILS = Counter(
    "holdfast_mails",
    "E-mails by outcome: sent, no_address, refused, deferred (retried later), off (no SMTP_URL)",
    ["kind", "outcome"],
)
