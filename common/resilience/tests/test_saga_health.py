"""Saga health on real servers: each problem is detected, and its end too."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pika
import pytest
from sqlalchemy import text

from common.errors import Unavailable
from common.messaging import topology
from common.resilience import saga_health
from common.resilience.saga_health import BACKLOG_MESSAGES, QueueReader, SagaHealth
from common.storage.postgresql import transaction
from common.tests.outboxes import Outbox, make_event
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pika.adapters.blocking_connection import BlockingChannel

pytestmark = pytest.mark.integration
SECONDS = 60.0
CONTEXTS = ("orders", "payments")


@pytest.fixture
def box(database: Callable[[], str]) -> Iterator[Outbox]:
    made = Outbox(database())
    yield made
    made.close()


@pytest.fixture
def channel(vhost: str) -> Iterator[BlockingChannel]:
    topology.declare(vhost, {context: ["thing.happened.v1"] for context in CONTEXTS}, timeout_seconds=SECONDS)
    connection = pika.BlockingConnection(pika.URLParameters(vhost))
    yield connection.channel()
    connection.close()


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_health, "POLL_SECONDS", 0.0)


def consume(channel: BlockingChannel, *contexts: str) -> None:
    for context in contexts:
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(topology.events_queue(context), lambda *_: None)


def watch(box: Outbox, queues: QueueReader, **probes: Callable[[], object]) -> SagaHealth:
    return SagaHealth({"things": box.engine}, queues, CONTEXTS, probes)


def eventually(looks: SagaHealth, reason: str | None, *, before_each: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        before_each()
        seen = looks.reason()
        if (reason is None and seen is None) or (reason is not None and seen is not None and reason in seen):
            return
        assert time.monotonic() < deadline, f"wanted {reason!r}, but it says {seen!r}"
        time.sleep(0.05)


def test_a_queue_without_a_consumer_a_backlog_and_parked_messages(
    box: Outbox, vhost: str, channel: BlockingChannel
) -> None:
    with QueueReader(vhost, name="test") as queues:
        looks = watch(box, queues)
        eventually(looks, "nobody consumes orders.events")
        consume(channel, "orders")
        eventually(looks, "nobody consumes payments.events")
        consume(channel, "payments")
        eventually(looks, None)

        for _ in range(BACKLOG_MESSAGES + 2):  # the consumer holds one of them
            channel.basic_publish("", "orders.events", b"")
        eventually(looks, "messages wait in orders.events")
        channel.queue_purge("orders.events")
        eventually(looks, None)

        delay_queue = topology.delay_exchange(topology.RETRY_DELAYS_SECONDS[0]).name
        # Each is parked for a second only, and the look at it may come late.
        eventually(
            looks,
            "messages are parked",
            before_each=lambda: channel.basic_publish(delay_queue, "payments.events", b"parked"),
        )
        eventually(looks, None)


def test_a_lagging_outbox(box: Outbox, vhost: str, channel: BlockingChannel) -> None:
    consume(channel, *CONTEXTS)
    with QueueReader(vhost, name="test") as queues:
        looks = watch(box, queues)
        box.add(make_event())
        eventually(looks, None, before_each=lambda: _age(box, 0))  # an event on its way is no lag
        _age(box, 1000)
        eventually(looks, "things: the outbox lags by 10")  # 1,000 s, or up to 99 more if the look comes late
        with transaction(box.engine) as connection:
            connection.execute(text("UPDATE outbox SET set_aside_at = now()"))
        eventually(looks, None)  # one event that no queue takes stops no clock
        box.add(make_event())
        _age(box, 1000)
        eventually(looks, "things: the outbox lags by 10")
        with transaction(box.engine) as connection:
            connection.execute(text("DELETE FROM outbox"))
        eventually(looks, None)


def test_a_failing_check_counts_as_held_up(box: Outbox, vhost: str, channel: BlockingChannel) -> None:
    consume(channel, *CONTEXTS)
    down = [True]

    def probe() -> None:
        if down[0]:
            raise Unavailable("no answer")

    with QueueReader(vhost, name="test") as queues:
        looks = watch(box, queues, provider=probe)
        eventually(looks, "provider: Unavailable('no answer')")
        down[0] = False
        eventually(looks, None)
    channel.queue_delete("orders.events")
    with QueueReader(vhost, name="test") as queues:
        eventually(watch(box, queues), "NotFound")


def test_dead_and_frozen_servers_are_detected_in_time(box: Outbox, vhost: str, channel: BlockingChannel) -> None:
    consume(channel, *CONTEXTS)
    with Link(vhost) as link, QueueReader(link.url, name="test") as queues:
        looks = watch(box, queues)
        eventually(looks, None)
        for trouble in (link.cut, link.freeze):
            trouble()
            began = time.monotonic()
            assert "the broker" in (looks.reason() or "")
            assert "the broker" in (looks.reason() or "")
            assert time.monotonic() - began < SECONDS
            link.restore()
            eventually(looks, None)


def test_a_result_is_cached_for_a_moment(box: Outbox, vhost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_health, "POLL_SECONDS", 600.0)
    monkeypatch.setattr(saga_health, "BROKER_SECONDS", SECONDS)  # what it is late with would be cached, too
    polls: list[int] = []
    topology.declare(vhost, {})
    with QueueReader(vhost, name="test") as queues:
        health = SagaHealth({}, queues, (), {"provider": lambda: polls.append(1)})
        assert health.reason() is None
        assert health.reason() is None
    assert polls == [1]


def _age(box: Outbox, seconds: float) -> None:
    with transaction(box.engine) as connection:
        connection.execute(
            text("UPDATE outbox SET created_at = clock_timestamp() - make_interval(secs => :s)"), {"s": seconds}
        )
