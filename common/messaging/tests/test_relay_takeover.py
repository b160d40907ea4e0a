"""One relay is active; another takes over when it ends. On real servers."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from common.messaging.relay import BATCH_ROWS, Relay
from common.resilience.circuit_breaker import Breaker
from common.tests.outboxes import (
    Outbox,
    QueueReader,
    connect,
    eventually,
    make_publisher,
    make_relay,
    metric,
    running,
)
from common.tests.tcp_proxy import Link

pytestmark = pytest.mark.integration
NEVER_SECONDS = 600.0


def test_unconfirmed_events_are_published_first_after_a_reconnect(box: Outbox, reader: QueueReader, vhost: str) -> None:
    events = box.fill(3 * BATCH_ROWS)
    with Link(vhost) as link:
        link.starve(200_000)  # some of the first batch
        with running(make_relay(box, link.url, confirm_seconds=10)):
            eventually(lambda: len(box.waiting()) < len(events))
            assert len(events) - BATCH_ROWS < len(box.waiting())
            link.restore()
            eventually(lambda: box.waiting() == [])
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]


def test_one_relay_is_active_while_the_broker_is_slow_to_confirm(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url, lease_seconds=8, confirm_seconds=12)):
        eventually(lambda: metric("relay_active") == 1)
        link.freeze()
        events = box.fill(5)
        with running(make_relay(box, vhost, "relay-b", lease_seconds=8)):
            while True:
                other, holder, waiting = metric("relay_active", "relay-b"), box.holder(), box.waiting()
                if metric("relay_active") == 0:
                    break  # it has waited for its confirms in vain, perhaps already when we looked
                assert other == 0
                assert holder in ("relay-a", None)
                assert waiting == [event.id for event in events]
                time.sleep(0.02)
            eventually(lambda: box.waiting() == [])  # the lease was given back: the standby can publish
            assert box.holder() == "relay-b"
    assert list(dict.fromkeys(reader.read())) == [event.id for event in events]


@pytest.fixture
def no_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection to a frozen broker stays until the test thaws it, however long that takes."""
    monkeypatch.setattr("common.messaging.publisher.HEARTBEAT_SECONDS", 300)


@pytest.mark.usefixtures("no_heartbeats")
def test_the_lag_grows_while_the_broker_is_slow_to_confirm(box: Outbox, reader: QueueReader, vhost: str) -> None:
    def shows_the_truth() -> bool:
        before, (_, age), after = metric("outbox_oldest_seconds"), box.backlog(), metric("outbox_oldest_seconds")
        return before - 0.5 < age < after + 0.5

    with Link(vhost) as link, running(make_relay(box, link.url, confirm_seconds=300)):
        eventually(lambda: metric("relay_active") == 1)
        link.freeze()
        box.fill(1)
        eventually(lambda: metric("outbox_oldest_seconds") > 2)
        eventually(shows_the_truth)
        box.fill(6)
        eventually(lambda: metric("outbox_rows") == 7)
        assert metric("relay_active") == 1  # it waits for the first confirm still
        link.restore()


@pytest.mark.usefixtures("no_heartbeats")
def test_a_standby_shows_the_lag_as_well(box: Outbox, reader: QueueReader, vhost: str) -> None:
    with Link(vhost) as link, running(make_relay(box, link.url, lease_seconds=300, confirm_seconds=300)):
        eventually(lambda: metric("relay_active") == 1)
        link.freeze()
        box.fill(3)
        with running(make_relay(box, vhost, "relay-b")):
            eventually(lambda: metric("outbox_rows", "relay-b") == 3)
            eventually(lambda: metric("outbox_oldest_seconds", "relay-b") > 1)
            assert metric("relay_active", "relay-b") == 0
        link.restore()


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
    connect(publisher)
    patience = Breaker("broker", max_failures=1)
    doomed = Relay("relay-a", engine, publisher, "relay-a", broker=patience, confirm_seconds=60)
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
    second = running(make_relay(box, vhost, "relay-b", lease_seconds=NEVER_SECONDS))
    with running(make_relay(box, vhost, "relay-a", lease_seconds=NEVER_SECONDS)):
        eventually(lambda: box.holder() == "relay-a")
        second.__enter__()
        first_events = box.fill(100)
        eventually(lambda: box.waiting() == [])
        assert box.holder() == "relay-a"
    # The lease was given back: no need to wait until it runs out.
    last_events = box.fill(100)
    eventually(lambda: box.waiting() == [])
    assert box.holder() == "relay-b"
    second.__exit__(None, None, None)
    assert reader.read() == [event.id for event in first_events + last_events]
