"""A worker loses its broker or its database in the middle of a batch: nothing is lost, each effect comes once."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager, suppress
from threading import Timer
from typing import TYPE_CHECKING

import pytest
from celery import Celery
from sqlalchemy import text

from common.messaging import topology
from common.messaging.tests.test_batch_runner import BATCHES, have_taken_effect, publish
from common.storage.postgresql import make_engine, transaction
from common.tests.ports import free_port
from common.tests.tcp_proxy import Link
from common.tests.worker_process import QUEUE, World, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from common.messaging.events import Event

pytestmark = pytest.mark.integration
SECONDS = 60.0
SPLIT = "holdfast_event_batches_split_total"
SUBSCRIPTION = "holdfast_worker_subscribed"
BATCH_COUNT = "holdfast_event_batch_size_count"
# The class and the method of AMQP's basic.consume-ok.
SUBSCRIBED = struct.pack(">HH", 60, 21)


@pytest.fixture
def link(world: World) -> Iterator[Link]:
    with Link(world.broker_url) as made:
        yield made


def has_begun(world: World, events: list[Event]) -> bool:
    return any(world.count("attempts", event.id) for event in events)


def take_effect_in_batches(world: World, count: int = 200) -> bool:
    """Whether the worker handles what waits in batches, now."""
    before = world.metric(BATCH_COUNT)
    events = publish(world, *["sample.fine.v1"] * count)
    wait_until(lambda: have_taken_effect(world, events), SECONDS)
    return world.metric(BATCH_COUNT) > before


def took_effect(world: World, events: list[Event], table: str = "effects") -> bool:
    return all(world.count(table, event.id) == 1 for event in events)


@pytest.mark.parametrize("ends", ["while disconnected", "after the reconnect"])
def test_a_batch_whose_connection_is_cut_takes_effect_once(world: World, link: Link, ends: str) -> None:
    # Its slow events give the test some seconds to cut the connection before the end of the batch.
    events = publish(world, *["sample.slow.v1"] * 16, *["sample.fine.v1"] * 30)
    with world.worker(**BATCHES, RABBITMQ_URL=link.url):
        wait_until(lambda: has_begun(world, events[1:]), SECONDS)
        link.cut()
        assert not took_effect(world, events)
        if ends == "while disconnected":
            wait_until(lambda: took_effect(world, events), SECONDS)
        link.restore()
        wait_until(lambda: have_taken_effect(world, events), SECONDS)
        assert take_effect_in_batches(world)
    assert took_effect(world, events)
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_no_acknowledgement_of_a_batch_crosses_a_reconnect(world: World, link: Link) -> None:
    """Its tags name other messages on the new connection, which would be gone with their worker."""
    batch = publish(world, *["sample.slow.v1"] * 20)
    with world.worker(**BATCHES, RABBITMQ_URL=link.url) as process:
        wait_until(lambda: has_begun(world, batch[1:]), SECONDS)
        link.cut()
        wait_until(lambda: world.waiting(QUEUE) >= len(batch) - 1, SECONDS)
        world.channel.queue_purge(QUEUE)
        others = publish(world, *["sample.slow.v1"] * len(batch))
        link.restore()
        wait_until(lambda: has_begun(world, others), SECONDS)
        assert took_effect(world, batch)
        process.kill()
        process.wait(SECONDS)
    with world.worker(**BATCHES):
        wait_until(lambda: have_taken_effect(world, others), SECONDS)


def test_two_workers_with_the_same_batch_take_effect_once(world: World, link: Link) -> None:
    """The first one's connection is cut: the second gets the same events while the first one's transaction is open."""
    events = publish(world, *["sample.slow.v1"] * 8, *["sample.fine.v1"] * 30)
    with world.worker(**BATCHES, RABBITMQ_URL=link.url):
        wait_until(lambda: has_begun(world, events[1:]), SECONDS)
        link.cut()
        with world.worker(**BATCHES, METRICS_PORT=str(free_port())):
            wait_until(lambda: have_taken_effect(world, events), SECONDS)
            link.restore()
            more = publish(world, *["sample.fine.v1"] * 100)
            wait_until(lambda: have_taken_effect(world, more), SECONDS)
    assert took_effect(world, events)
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_a_failed_batch_of_a_lost_connection_is_not_active_for_ever(world: World, link: Link) -> None:
    """Another worker may have handled its events."""
    events = publish(world, *["sample.locked.v1"] * 3)
    with transaction(world.engine) as holder:
        holder.execute(text("LOCK TABLE locked_effects"))
        with world.worker(**BATCHES, RABBITMQ_URL=link.url, SAMPLE_LOCK_MS="3000"):
            wait_until(lambda: has_begun(world, events[1:]), SECONDS)
            link.cut()
            wait_until(lambda: world.waiting(QUEUE) >= 2, SECONDS)
            world.channel.queue_purge(QUEUE)
            wait_until(lambda: world.metric(SPLIT) >= 1, SECONDS)
            link.restore()
            assert take_effect_in_batches(world)
            wait_until(lambda: is_idle(world), SECONDS)


def is_idle(world: World) -> bool:
    """Whether the worker says that it handles nothing now."""
    app = Celery("watching", broker=world.broker_url, set_as_current=False)
    return list((app.control.inspect(timeout=5).active() or {}).values()) == [[]]


class BreaksOffWhenIdle(Link):
    """The next `breaks` connections are reset a moment after their worker has subscribed (its mailbox comes first)."""

    breaks = seen = 0

    def translate(self, reply: bytes) -> bytes:
        self.seen += reply.count(SUBSCRIBED)
        if self.breaks and self.seen >= 2:
            self.breaks, self.seen = self.breaks - 1, 0
            Timer(0.01, self._reset).start()
        return reply

    def _reset(self) -> None:
        for each in list(self._sockets):
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                each.close()


def test_a_batch_that_ended_while_connections_broke_off_does_not_keep_the_worker_busy(world: World) -> None:
    """When the new connection breaks, Celery's loop drops its callbacks, among them the end of the batch."""
    events = publish(world, *["sample.slow.v1"] * 6)
    with BreaksOffWhenIdle(world.broker_url) as link, world.worker(**BATCHES, RABBITMQ_URL=link.url):
        wait_until(lambda: has_begun(world, events[1:]), SECONDS)
        link.cut()
        wait_until(lambda: took_effect(world, events), SECONDS)
        world.channel.queue_purge(QUEUE)
        link.breaks, link.seen = 3, 0
        link.restore()
        wait_until(lambda: link.breaks == 0, SECONDS)
        assert take_effect_in_batches(world)


def test_a_lock_time_out_splits_a_batch(world: World) -> None:
    fine = publish(world, *["sample.fine.v1"] * 20)
    locked = publish(world, "sample.locked.v1")
    with transaction(world.engine) as holder:
        holder.execute(text("LOCK TABLE locked_effects"))
        with world.worker(**BATCHES, SAMPLE_LOCK_MS="2000"):
            wait_until(lambda: took_effect(world, fine), SECONDS)
            assert world.metric(SPLIT) >= 1
            holder.commit()
            wait_until(lambda: took_effect(world, locked, "locked_effects"), SECONDS)
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_a_deadlock_splits_a_batch(world: World) -> None:
    """The batch has written effects and waits for a transaction, which then waits for the batch."""
    fine = publish(world, *["sample.fine.v1"] * 20)
    locked = publish(world, "sample.locked.v1")
    with superuser(world) as engine, transaction(engine) as other, world.worker(**BATCHES, SAMPLE_LOCK_MS="20000"):
        # The server ends the one that looks for a deadlock: that is the worker's, after a second.
        other.execute(text("SET LOCAL deadlock_timeout = '1h'"))
        other.execute(text("LOCK TABLE locked_effects"))
        wait_until(lambda: is_waiting_for_a_lock(world), SECONDS)
        other.execute(text("LOCK TABLE effects"))
        other.commit()
        wait_until(lambda: took_effect(world, fine) and took_effect(world, locked, "locked_effects"), SECONDS)
        assert world.metric(SPLIT) >= 1
    assert world.waiting(topology.DEAD_LETTERS) == 0


@contextmanager
def superuser(world: World) -> Iterator[Engine]:
    url = world.admin_url.rpartition("/")[0] + "/" + world.database_url.rpartition("/")[2]
    engine = make_engine(url, pool_size=1, timeout_seconds=SECONDS, name="test")
    yield engine
    engine.dispose()


def is_waiting_for_a_lock(world: World) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with transaction(world.engine) as connection:
        return connection.execute(text(query)).first() is not None


def test_what_waits_while_the_database_is_down_takes_effect_when_it_is_back(world: World) -> None:
    with world.worker(**BATCHES):
        assert take_effect_in_batches(world)
        with world.database_away():
            events = publish(world, *["sample.fine.v1"] * 64)
            wait_until(lambda: world.metric(SUBSCRIPTION) == 0 and not world.has_consumer, SECONDS)
            late = publish(world, *["sample.fine.v1"] * 64)
            wait_until(lambda: world.waiting(QUEUE) >= len(late), SECONDS)
        wait_until(lambda: have_taken_effect(world, events + late), SECONDS)
        wait_until(lambda: world.metric(SUBSCRIPTION) == 1, SECONDS)
        assert take_effect_in_batches(world)
    assert world.waiting(topology.DEAD_LETTERS) == 0
