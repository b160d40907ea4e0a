"""Kafka records are CloudEvents in structured mode, as the public SDK reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.messaging.events import from_json, utc_now
from services.archive import models
from services.archive.tests.event_samples import happening
from workers.bridge.records import record


def filed(**changes: Any) -> dict[str, Any]:
    return models.event_document(happening(**changes), customer_id="c", received_at=utc_now()) | {"position": 7}


def test_a_record_contains_the_event_as_published() -> None:
    event = happening(orderid="o", causationid="c", traceparent="t", data={"a": 2**70, "ü": "\ud800", "$x": None})
    found = record(
        models.event_document(event, customer_id="secret", received_at=utc_now()) | {"position": 7}, "holdfast"
    )
    assert (found.topic, found.key, found.position) == ("holdfast.orders", b"thing-1", 7)
    assert from_json(found.value) == event
    assert set(json.loads(found.value)) == set(event.to_document())


@pytest.mark.parametrize(
    ("source", "topic"),
    [
        ("/services/payments", "x.payments"),
        ("/workers/inventory", "x.inventory"),
        ("/elsewhere", "x.other"),
        ("/services/../../etc", "x.other"),
        ("/services/" + "a" * 300, "x.other"),
    ],
)
def test_each_context_has_its_own_topic(source: str, topic: str) -> None:
    assert record(filed(source=source), "x").topic == topic
