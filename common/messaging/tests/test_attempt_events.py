"""The event that reports a failed attempt."""

from __future__ import annotations

import pytest

from common.errors import Transient
from common.messaging.attempt_events import MAX_ERROR_CHARACTERS, attempt_failed
from common.messaging.events import Event, from_json
from common.messaging.inbox import Delivery
from common.tests.outboxes import make_event


def reported(event: Event, attempt: int, error: BaseException, consumer: str = "orders") -> Event:
    return attempt_failed(Delivery(consumer, event), attempt=attempt, error=error, next_try_seconds=5)


def test_it_is_about_the_subject_of_the_event_that_failed() -> None:
    event = make_event(7)
    failed = reported(event, 2, Transient("no luck"))
    assert (failed.type, failed.source, failed.sequence) == ("attempt.failed.v1", "/workers/orders", 2)
    assert (failed.subject, failed.orderid, failed.correlationid) == (event.subject, event.orderid, event.correlationid)
    assert failed.data == {
        "event_id": event.id,
        "event_type": event.type,
        "consumer": "orders",
        "attempt": 2,
        "error_class": "common.errors.Transient",
        "error": "no luck",
        "next_try_seconds": 5,
    }


def test_reporting_it_twice_is_idempotent() -> None:
    event = make_event(7)
    first = reported(event, 1, Transient("no luck"))
    assert reported(event, 1, Transient("another reason")).id == first.id
    others = [
        reported(event, 2, Transient("")),
        reported(event, 1, Transient(""), "payments"),
        reported(make_event(8), 1, OSError()),
    ]
    assert len({first.id, *(other.id for other in others)}) == 4


@pytest.mark.parametrize("text", ["x" * 10_000, "a\x00b", "half \ud800 a pair", "", "čaj"])
def test_any_error_text_fits_into_the_event(text: str) -> None:
    failed = reported(make_event(1), 1, ValueError(text))
    assert from_json(failed.to_json()) == failed
    assert len(failed.data["error"]) <= MAX_ERROR_CHARACTERS
    assert failed.data["error_class"] == "builtins.ValueError"
