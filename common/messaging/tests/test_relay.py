"""The outbox relay against a real PostgreSQL and a real RabbitMQ."""

from __future__ import annotations

import time

import pytest

from common.messaging.events import CONTENT_TYPE
from common.messaging.relay import BATCH_ROWS, TASK_NAME
from common.storage.postgresql import make_engine
from common.tests.outboxes import (
    ROUTED,
    Outbox,
    QueueReader,
    eventually,
    make_relay,
    metric,
    running,
)
from common.tests.tcp_proxy import Link

pytestmark = pytest.mark.integration

pytestmark = pytest.mark.integration


def test_events_are_published_in_order_and_their_rows_deleted(box: Outbox, reader: QueueReader, vhost: str) -> None:
    events = box.fill(BATCH_ROWS + 20)
    with running(make_relay(box, vhost)):
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [event.id for event in events]
    assert reader.received == events


def test_the_lag_is_measured_beyond_one_batch(box: Outbox, vhost: str) -> None:
    events = 2 * BATCH_ROWS + 7
    box.fill(events)
    with Link(vhost) as link:
        link.cut()
        with running(make_relay(box, link.url)):
            eventually(lambda: metric("outbox_rows") == events)


def test_a_message_is_a_cloud_event_and_a_celery_task_and_survives_a_restart(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    [event] = box.fill(1)
    with running(make_relay(box, vhost)):
        eventually(lambda: box.waiting() == [])
    reader.read()
    [properties] = reader.properties
    assert properties.content_type == CONTENT_TYPE
    assert properties.delivery_mode == 2
    assert properties.message_id == event.id
    known = {"task": TASK_NAME, "id": event.id, "root_id": event.correlationid, "shadow": ROUTED}
    assert properties.headers.items() >= known.items()


def test_nothing_is_lost_while_the_broker_is_down_and_work_resumes_automatically(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url)):
        first = box.fill(10)
        eventually(lambda: box.waiting() == [])
        link.cut()
        second = box.fill(10)
        time.sleep(1.0)
        assert box.waiting() == [event.id for event in second]
        assert reader.read() == [event.id for event in first]
        link.restore()
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [event.id for event in first + second]


def test_an_outage_shows_as_growing_lag(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link:
        link.cut()
        box.fill(3)
        with running(make_relay(box, link.url)):
            eventually(lambda: metric("outbox_rows") == 3 and metric("outbox_oldest_seconds") > 1.0)
            link.restore()
            eventually(lambda: metric("outbox_rows") == metric("outbox_oldest_seconds") == 0)


def test_a_frozen_broker_loses_nothing(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url)):
        eventually(lambda: box.holder() == "relay-a")
        link.freeze()
        events = box.fill(5)
        time.sleep(1.0)
        assert len(box.waiting()) == 5
        link.restore()
        eventually(lambda: box.waiting() == [])
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]


def test_a_database_that_is_down_is_waited_for(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(box.url) as link:
        engine = make_engine(link.url, pool_size=1, timeout_seconds=60, name="relay")
        with running(make_relay(box, vhost, engine=engine)):
            eventually(lambda: metric("relay_active") == 1)
            link.cut()
            [event] = box.fill(1)
            eventually(lambda: metric("relay_active") == 0)
            assert box.waiting() == [event.id]
            link.restore()
            eventually(lambda: box.waiting() == [])
        engine.dispose()


def test_throughput(box: Outbox, reader: QueueReader, vhost: str, capsys: pytest.CaptureFixture[str]) -> None:
    count = 5_000
    events = box.fill(count)
    started = time.monotonic()
    with running(make_relay(box, vhost)):
        eventually(lambda: box.waiting() == [])
    seconds = time.monotonic() - started
    with capsys.disabled():
        # A figure to look at: what a busy machine does is no reason to fail.
        print(f"\nrelay: {count} events in {seconds:.2f} s, {count / seconds:.0f}/s")  # noqa: T201
    assert reader.read() == [event.id for event in events]
