"""Undecided items: parked alone, uncounted, bounded by age. A real worker, a real broker, a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.messaging import topology
from common.messaging.item_outages import MAX_PAUSES
from common.messaging.redelivery import UNDECIDED
from common.storage.postgresql import transaction
from common.tests.tcp_proxy import Link
from common.tests.worker_process import QUEUE, SECONDS, sample, wait_until

if TYPE_CHECKING:
    from common.tests.worker_process import World

pytestmark = pytest.mark.integration
FIRST_DELAY = topology.undecided_delay(0)
SHORTEST = topology.delay_exchange(topology.RETRY_DELAYS_SECONDS[0]).name
WORKER_THREADS = 4
QUICK = {"RETRY_ATTEMPTS": "0", "SAMPLE_CONFIRM_SECONDS": "5"}  # it notices soon that the delay queues are frozen
UNDECIDED_ITEMS = "holdfast_undecided_items"
HELD, SUBSCRIBED = "holdfast_worker_held_messages", "holdfast_worker_subscribed"
HANDLED = "holdfast_events_handled_total"  # `metric` returns the outcome that was counted first


def test_an_undecided_item_waits_alone_and_uses_up_no_attempt(world: World) -> None:
    with world.worker(RETRY_ATTEMPTS="0"):
        undecided = world.publish(sample("sample.undecided.v1"))
        wait_until(lambda: world.count("attempts", undecided) >= 1)
        others = [world.publish(sample("sample.fine.v1")) for _ in range(20)]
        while not all(world.count("effects", event_id) for event_id in others):
            assert world.metric(SUBSCRIBED) == 1, "one undecided item paused the worker"
        wait_until(lambda: world.count("attempts", undecided) >= 2)
        world.switch("decided")
        wait_until(lambda: world.count("effects", undecided) == 1)
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_what_is_undecided_for_too_long_is_dead_with_its_reason(world: World) -> None:
    with world.worker(UNDECIDED_MAX_AGE_SECONDS=str(FIRST_DELAY)):
        event_id = world.publish(sample("sample.undecided.v1"))
        found, _ = world.dead_letter()
    assert world.count("attempts", event_id) == 2
    assert (found["holdfast-reason"], found["holdfast-attempt"]) == ("undecided", 1)
    assert found["holdfast-error-class"] == "common.errors.Undecided"
    assert found[UNDECIDED] == FIRST_DELAY


def test_a_row_that_another_session_locks_delays_its_own_item_and_no_other(world: World) -> None:
    with world.worker(RETRY_ATTEMPTS="0", SAMPLE_LOCK_MS="80"), transaction(world.engine) as holder:
        holder.execute(text("LOCK TABLE locked_effects"))
        locked = world.publish(sample("sample.locked.v1"))
        wait_until(lambda: world.count("attempts", locked) >= 2)  # the repetition at once
        others = [world.publish(sample("sample.fine.v1")) for _ in range(20)]
        while not all(world.count("effects", event_id) for event_id in others):
            assert world.metric(SUBSCRIBED) == 1, "one locked row paused the worker"
        wait_until(lambda: world.count("attempts", locked) >= 4)
        holder.commit()
        wait_until(lambda: world.count("locked_effects", locked) == 1)
    assert world.waiting(topology.DEAD_LETTERS) == world.waiting(QUEUE) == 0


def test_an_item_that_alone_reports_an_outage_cannot_keep_the_worker_paused(world: World) -> None:
    """Every probe answers: the item is not believed for ever, and waits alone."""
    with world.worker(RETRY_ATTEMPTS="0"):
        odd = world.publish(sample("sample.held_up.v1"))
        wait_until(lambda: world.metric(UNDECIDED_ITEMS) == 1, 2 * SECONDS)
        tried = world.count("attempts", odd)
        assert world.metric(HANDLED) == MAX_PAUSES, "so often it was parked, as in an outage"
        wait_until(lambda: world.metric(SUBSCRIBED) == 1)
        while world.count("attempts", odd) == tried:
            assert world.metric(SUBSCRIBED) == 1
        assert world.metric(SUBSCRIBED) == 1
        wait_until(lambda: world.metric("holdfast_undecided_oldest_seconds") >= FIRST_DELAY)
        world.switch("repaired")
        wait_until(lambda: world.count("effects", odd) == 1)
        wait_until(lambda: world.metric(UNDECIDED_ITEMS) == 0)
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_without_the_delay_queues_no_delivery_is_counted(world: World) -> None:
    """Neither handled nor parked: held, each delivered once, and the worker asks for no more."""
    with Link(world.broker_url) as link, world.worker(**QUICK, RABBITMQ_URL=link.url):
        wait_until(lambda: world.has_consumer)
        world.switch("down")
        link.freeze(kind=b"sample.events redelivery")
        events = [world.publish(sample("sample.dependent.v1")) for _ in range(6)]
        wait_until(lambda: world.metric(HELD) == WORKER_THREADS)
        tried = link.connections
        wait_until(lambda: link.connections > tried + 2, 2 * SECONDS)  # the delay queues are probed and do not answer
        assert sum(world.count("attempts", event_id) for event_id in events) == WORKER_THREADS
        link.restore()
        wait_until(lambda: world.waiting(QUEUE) == len(events))  # what was held was parked and has returned
        assert world.metric(HELD) == 0
        assert not world.has_consumer
        assert sum(world.count("attempts", event_id) for event_id in events) == WORKER_THREADS
        world.switch("down", on=False)
        wait_until(lambda: all(world.count("effects", event_id) == 1 for event_id in events))
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_no_delivery_is_used_up_where_the_delay_queue_is_missing(world: World) -> None:
    """Nothing is slow here: a requeued message would be redelivered at once."""
    with world.worker(RETRY_ATTEMPTS="0"):
        wait_until(lambda: world.has_consumer)
        world.switch("down")
        world.channel.queue_delete(SHORTEST)
        world.channel.exchange_delete(SHORTEST)
        events = [world.publish(sample("sample.dependent.v1")) for _ in range(WORKER_THREADS)]
        wait_until(lambda: world.metric(SUBSCRIBED) == 0 or world.waiting(topology.DEAD_LETTERS) > 0, 2 * SECONDS)
        assert world.waiting(topology.DEAD_LETTERS) == 0, "dead because of an outage"
        wait_until(lambda: world.metric(HELD) == WORKER_THREADS)
        world.switch("down", on=False)  # one of the two comes back
        world.declare()
        wait_until(lambda: all(world.count("effects", event_id) == 1 for event_id in events))
        assert [world.count("attempts", event_id) for event_id in events] == [2] * WORKER_THREADS
    assert world.waiting(topology.DEAD_LETTERS) == 0


@pytest.mark.parametrize(
    ("waited", "expected"), [(0, 5), (5, 5), (29, 5), (30, 30), (119, 30), (120, 120), (599, 120), (10**9, 600)]
)
def test_an_undecided_item_waits_about_as_long_again_as_it_has_waited(waited: int, expected: int) -> None:
    assert topology.undecided_delay(waited) == expected
    assert topology.undecided_delay(waited) > topology.RETRY_DELAYS_SECONDS[0]
