"""The audit's judgement of refused refunds, and of refunds that operators record (P4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdfast.audit.promises import check_order
from holdfast.audit.views import INVENTORY, ORDERS, PAYMENTS, ArchivedEvent
from holdfast.tests.audit_views import (
    CANCELLED,
    CONFIRMED,
    GOOD,
    USD,
    broken,
    charge,
    events,
    payment,
)


def owed(standing_since: str | None) -> dict[str, Any]:
    refusal = {
        "code": "charge_disputed",
        "tries": 5,
        "retry_at": "2026-11-22T14:05:00Z",
        "standing_since": standing_since,
    }
    return payment("captured") | {"id": "payment-1", "refund_refusal": refusal}


def recorded(amount: int, elsewhere: int) -> dict[str, Any]:
    """A payment with `amount` refunded, `elsewhere` of it outside the provider."""
    known = payment("refunded", refunded=amount, version=2)
    return known | {"refunded_elsewhere": {"amount": elsewhere, "currency": USD}}


CHARGED_LATE = [
    (ORDERS, "order.placed.v1", 1),
    (INVENTORY, "stock.reserved.v1", 1),
    (ORDERS, "order.cancelled.v1", 2),
    (INVENTORY, "stock.released.v1", 2),
    (PAYMENTS, "payment.captured.v1", 1),
]


def with_record(
    history: list[tuple[str, str, int]], amount: int, provider_refund_id: str = ""
) -> tuple[ArchivedEvent, ...]:
    data: dict[str, Any] = {"amount": {"amount": amount, "currency": USD}, "provider_refund_id": provider_refund_id}
    (record,) = events((PAYMENTS, "payment.refund_recorded.v1", 2), **data)
    return (*events(*history), record)


@pytest.mark.parametrize(
    ("standing_since", "text"),
    [
        ("2026-11-22T14:00:00Z", "holdfast payments retry-refund payment-1"),
        (None, "retried at 2026-11-22T14:05:00Z"),
    ],
)
def test_p4_a_refused_refund_is_found_with_its_reason(standing_since: str | None, text: str) -> None:
    view = replace(CANCELLED, payments=(owed(standing_since),), charges=(charge(2500),), events=events(*CHARGED_LATE))
    (finding,) = check_order(view)
    assert finding.promise == "P4"
    assert "charge_disputed, 5 tries" in finding.text
    assert text in finding.text


def test_recorded_external_refunds_count_as_refunded() -> None:
    cancelled = replace(CANCELLED, charges=(charge(2500),), events=with_record(CHARGED_LATE, 2500))
    assert broken(replace(cancelled, payments=(recorded(2500, 2500),))) == []
    assert broken(replace(cancelled, payments=(recorded(2500, 2500),), charges=(charge(2500, 2500),))) == ["P4"]
    at_provider = replace(cancelled, events=with_record(CHARGED_LATE, 2500, "re_1"), charges=(charge(2500, 2500),))
    assert broken(replace(at_provider, payments=(recorded(2500, 0),))) == []
    confirmed = replace(GOOD, payments=(recorded(1000, 1000),), events=with_record(CONFIRMED, 1000))
    assert broken(confirmed) == []
    assert broken(replace(confirmed, charges=(charge(2500, 1000),))) == ["P4"]


def test_p4_an_external_refund_without_an_archived_event_is_found() -> None:
    view = replace(CANCELLED, payments=(recorded(2500, 2500),), charges=(charge(2500),))
    assert broken(replace(view, events=with_record(CHARGED_LATE, 500))) == ["P4"]
