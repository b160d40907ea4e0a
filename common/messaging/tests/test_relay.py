"""The outbox relay against a real PostgreSQL and a real RabbitMQ."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event as sqlalchemy_event

from common.messaging.events import CONTENT_TYPE
from common.messaging.relay import BATCH_ROWS, LEASE_SECONDS, TASK_NAME, Relay
from common.resilience.circuit_breaker import Breaker
from common.storage.postgresql import make_engine
from common.tests.outboxes import ROUTED, UNROUTABLE, Outbox, QueueReader, make_event, make_publisher, make_relay
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
SECONDS = 20.0
FADED = "thing.faded.v1"


@pytest.fixture
def box(database: Callable[[], str]) -> Iterator[Outbox]:
    made = Outbox(database())
    yield made
    made.close()


@pytest.fixture
def reader(vhost: str) -> Iterator[QueueReader]:
    with QueueReader(vhost) as listening:
        yield listening


@contextmanager
def running(relay: Relay) -> Iterator[None]:
    """The relay in a thread, which must end soon after a stop."""
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def metric(name: str, relay: str = "relay-a") -> float:
    return REGISTRY.get_sample_value(f"holdfast_{name}", {"database": relay}) or 0.0


def test_events_go_out_in_order_and_rows_go_away(box: Outbox, reader: QueueReader, vhost: str) -> None:
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
    assert reader.read() == [event.id for event in events]


def test_what_no_queue_takes_is_set_aside_and_the_rest_continues(
    box: Outbox, reader: QueueReader, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of it than a batch holds, in front of everything else; it goes in its order once a queue takes it."""
    monkeypatch.setattr("common.messaging.relay.RETRY_SET_ASIDE_SECONDS", 0.5)
    lost = [make_event(number, event_type=UNROUTABLE) for number in range(1, BATCH_ROWS + 2)]
    routed = make_event()
    box.add(*lost, routed)
    with running(make_relay(box, vhost)):
        eventually(lambda: box.waiting() == box.set_aside() == [event.id for event in lost])
        eventually(lambda: metric("outbox_set_aside_rows") == len(lost) and metric("outbox_rows") == 0)
        assert metric("outbox_oldest_seconds") == 0
        assert metric("outbox_set_aside_seconds") > 0
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


def test_a_type_that_no_queue_takes_keeps_no_other_type_set_aside(
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


def test_what_a_broken_connection_left_goes_first_on_the_next_turn(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    events = box.fill(3 * BATCH_ROWS)
    with Link(vhost) as link:
        link.starve(200_000)  # some of the first batch
        with running(make_relay(box, link.url, confirm_seconds=1.5)):
            eventually(lambda: len(box.waiting()) < len(events))
            assert len(events) - BATCH_ROWS < len(box.waiting())
            link.restore()
            eventually(lambda: box.waiting() == [])
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]


def test_one_relay_is_active_while_the_broker_is_slow_to_confirm(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url, lease_seconds=0.9, confirm_seconds=4)):
        eventually(lambda: metric("relay_active") == 1)
        link.freeze()
        events = box.fill(5)
        with running(make_relay(box, vhost, "relay-b", lease_seconds=0.9)):
            while metric("relay_active") == 1:  # until it has waited for its confirms in vain
                assert metric("relay_active", "relay-b") == 0
                assert box.holder() in ("relay-a", None)
                assert box.waiting() == [event.id for event in events]
                time.sleep(0.02)
            eventually(lambda: box.waiting() == [])  # the lease was given back: the standby can publish
            assert box.holder() == "relay-b"
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]


def test_the_lag_grows_while_the_broker_is_slow_to_confirm(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url)):
        eventually(lambda: metric("relay_active") == 1)
        link.freeze()
        box.fill(1)
        eventually(lambda: metric("outbox_oldest_seconds") > 2)
        assert abs(metric("outbox_oldest_seconds") - box.backlog()[1]) < 0.5
        box.fill(6)
        eventually(lambda: metric("outbox_rows") == 7)
        assert metric("relay_active") == 1  # it waits for the first confirm still


def test_a_standby_shows_the_lag_as_well(box: Outbox, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url)):
        eventually(lambda: metric("relay_active") == 1)
        link.freeze()
        box.fill(3)
        with running(make_relay(box, vhost, "relay-b")):
            eventually(lambda: metric("outbox_rows", "relay-b") == 3)
            eventually(lambda: metric("outbox_oldest_seconds", "relay-b") > 1)
            assert metric("relay_active", "relay-b") == 0


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
    with running(make_relay(box, vhost)):
        time.sleep(3)
        routed = len(reader.read())
        assert routed <= 200 + 20  # the first batch, and then one at a time
        reader.channel.queue_delete("test.full")
        eventually(lambda: box.waiting() == [])
        assert box.set_aside() == []  # it was refused, not returned
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]


def test_a_relay_that_dies_between_publish_and_delete_publishes_twice_and_loses_none(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    events = box.fill(3)
    engine = box.connect_relay()

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM outbox"):
            raise MemoryError("it died here")

    sqlalchemy_event.listen(engine, "before_cursor_execute", fail)
    publisher = make_publisher(vhost)
    doomed = Relay("relay-a", engine, publisher, "relay-a", broker=Breaker("broker", max_failures=1))
    with pytest.raises(MemoryError):
        doomed.step()
    publisher.close()
    assert box.waiting() == [event.id for event in events]
    with running(make_relay(box, vhost)):
        eventually(lambda: box.waiting() == [])
    assert reader.read() == [event.id for event in events] * 2


def test_of_two_relays_one_works_and_the_other_takes_over_when_it_ends(
    box: Outbox, reader: QueueReader, vhost: str
) -> None:
    second = running(make_relay(box, vhost, "relay-b"))
    with running(make_relay(box, vhost, "relay-a")):
        eventually(lambda: box.holder() == "relay-a")
        second.__enter__()
        first_events = box.fill(100)
        eventually(lambda: box.waiting() == [])
        assert box.holder() == "relay-a"
    # The lease was given back: no need to wait until it runs out.
    started = time.monotonic()
    last_events = box.fill(100)
    eventually(lambda: box.waiting() == [])
    assert time.monotonic() - started < LEASE_SECONDS
    assert box.holder() == "relay-b"
    second.__exit__(None, None, None)
    assert reader.read() == [event.id for event in first_events + last_events]


def test_a_database_that_is_down_is_waited_for(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(box.url) as link:
        engine = make_engine(link.url, pool_size=1, timeout_seconds=5, name="relay")
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
