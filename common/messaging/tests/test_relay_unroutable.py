"""Unroutable and refused events in the relay, on real servers."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from common.messaging.relay import BATCH_ROWS, REFUSED_SECONDS
from common.tests.outboxes import (
    ROUTED,
    UNROUTABLE,
    Outbox,
    QueueReader,
    eventually,
    make_event,
    make_relay,
    metric,
    running,
)

pytestmark = pytest.mark.integration
FADED = "thing.faded.v1"


def test_unroutable_events_are_set_aside_and_the_rest_continues(
    box: Outbox, reader: QueueReader, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of it than a batch holds, in front of everything else; it goes in its order once a queue takes it."""
    monkeypatch.setattr("common.messaging.relay.RETRY_SET_ASIDE_SECONDS", 0.5)
    lost = [make_event(number, event_type=UNROUTABLE) for number in range(1, BATCH_ROWS + 2)]
    routed = make_event()
    box.add(*lost, routed)
    with running(make_relay(box, vhost)):
        eventually(lambda: box.waiting() == box.set_aside() == [event.id for event in lost])
        eventually(lambda: metric("outbox_set_aside_rows") == len(lost) and metric("outbox_set_aside_seconds") > 0)
        eventually(lambda: metric("outbox_rows") == metric("outbox_oldest_seconds") == 0)
        reader.channel.queue_bind("test.events", "holdfast.events", UNROUTABLE)
        eventually(lambda: box.waiting() == [])
        eventually(lambda: metric("outbox_set_aside_rows") == metric("outbox_set_aside_seconds") == 0)
    assert reader.read() == [event.id for event in [routed, *lost]]


def test_another_relay_knows_what_was_set_aside(box: Outbox, reader: QueueReader, vhost: str) -> None:
    lost = make_event(event_type=UNROUTABLE)
    box.add(lost)
    with running(make_relay(box, vhost)):
        eventually(lambda: box.set_aside() == [lost.id])
    [routed] = box.fill(1)
    with running(make_relay(box, vhost, "relay-b")):
        eventually(lambda: box.waiting() == [lost.id])
        eventually(lambda: metric("outbox_set_aside_rows", "relay-b") == 1)
        reader.channel.queue_bind("test.events", "holdfast.events", UNROUTABLE)
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [routed.id, lost.id]


def test_an_unroutable_type_does_not_keep_other_types_set_aside(
    box: Outbox, reader: QueueReader, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.messaging.relay.RETRY_SET_ASIDE_SECONDS", 0.2)
    faded, vanished = ([make_event(number, event_type=name) for number in range(1, 5)] for name in (FADED, UNROUTABLE))
    box.add(*faded, *vanished)
    with running(make_relay(box, vhost)):
        eventually(lambda: len(box.set_aside()) == len(faded) + len(vanished))
        reader.channel.queue_bind("test.events", "holdfast.events", UNROUTABLE)
        eventually(lambda: box.waiting() == box.set_aside() == [event.id for event in faded])
    assert reader.read() == [event.id for event in vanished]


def test_an_exchange_that_is_missing_loses_nothing(box: Outbox, reader: QueueReader, vhost: str) -> None:
    reader.channel.exchange_delete("holdfast.events")
    [event] = box.fill(1)
    with running(make_relay(box, vhost)):
        time.sleep(1.0)
        assert box.waiting() == [event.id]
        with QueueReader(vhost) as declared_again:
            eventually(lambda: box.waiting() == [])
            assert declared_again.read() == [event.id]


def test_while_one_queue_refuses_the_others_receive_few_duplicates(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    reader.channel.queue_declare("test.full", arguments=full)
    reader.channel.queue_bind("test.full", "holdfast.events", ROUTED)
    events = box.fill(200)
    started = time.monotonic()
    with capture_logs() as logs, running(make_relay(box, vhost)):
        time.sleep(3)
        routed = len(reader.read())
        tries = (time.monotonic() - started) / REFUSED_SECONDS
        assert routed <= 200 + 20 + tries  # the first batch, and then one at a time
        reader.channel.queue_delete("test.full")
        eventually(lambda: box.waiting() == [])
        assert box.set_aside() == []  # it was refused, not returned
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]
    refusals = [each for each in logs if each["event"] == "the broker refuses events"]
    assert [(each["database"], each["type"]) for each in refusals] == [("relay-a", ROUTED)]
