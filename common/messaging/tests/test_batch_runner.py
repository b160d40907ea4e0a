"""A worker that handles what waits in batches, seen from outside: a real process, a real broker, a real database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from common.messaging import topology
from common.tests.worker_process import QUEUE, World, sample, wait_until

if TYPE_CHECKING:
    from common.messaging.events import Event

pytestmark = pytest.mark.integration
SIZE = 64
BATCHES = {"EVENT_BATCH_SIZE": str(SIZE)}
TEST_BUILD = BATCHES | {"HOLDFAST_TEST_BUILD": "1"}
KILLED_SECONDS = 60


def publish(world: World, *types: str) -> list[Event]:
    events = [sample(each) for each in types]
    for event in events:
        world.publish(event)
    return events


def have_taken_effect(world: World, events: list[Event]) -> bool:
    return world.waiting(QUEUE) == 0 and all(world.count("effects", event.id) == 1 for event in events)


def test_what_waits_takes_effect_in_few_transactions(world: World) -> None:
    events = publish(world, *["sample.fine.v1"] * 200)
    with world.worker(**BATCHES):
        wait_until(lambda: have_taken_effect(world, events))
        batches = world.metric("holdfast_event_batch_size_count")
        assert world.metric("holdfast_event_batch_size_sum") > len(events) / 2
        assert 1 <= batches < len(events) / 4
    assert world.waiting(QUEUE) == 0


def test_an_event_that_comes_alone_is_handled_alone(world: World) -> None:
    with world.worker(**BATCHES):
        for _ in range(3):
            events = publish(world, "sample.fine.v1")
            wait_until(lambda: have_taken_effect(world, events))  # noqa: B023 - called within the loop
        assert world.metric("holdfast_event_batch_size_count") == -1


def test_a_failing_event_does_not_take_its_batch_with_it(world: World) -> None:
    fine = publish(world, *["sample.fine.v1"] * 20)
    failing = publish(world, "sample.rejected.v1", "sample.failing.v1", "sample.unheard_of.v1")
    fine += publish(world, *["sample.fine.v1"] * 20)
    with world.worker(**BATCHES, RETRY_ATTEMPTS="1"):
        dead = [json.loads(world.dead_letter()[1])["id"] for _ in failing]
        assert sorted(dead) == sorted(event.id for event in failing)
        wait_until(lambda: have_taken_effect(world, fine))
        assert world.metric("holdfast_event_batches_split_total") >= 1
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_a_failed_event_takes_effect_at_its_retry(world: World) -> None:
    """Its inbox row went with its batch: otherwise the retry would be a duplicate."""
    held_up = publish(world, *["sample.held_up.v1"] * 3)
    fine = publish(world, *["sample.fine.v1"] * 10)
    with world.worker(**BATCHES):
        wait_until(lambda: all(world.count("attempts", event.id) >= 2 for event in held_up))
        world.switch("repaired")
        wait_until(lambda: have_taken_effect(world, held_up + fine))


@pytest.mark.parametrize("point", ["batch.joined:3", "batch.committing"])
def test_a_batch_whose_worker_dies_before_the_commit_takes_effect_later(world: World, point: str) -> None:
    events = publish(world, *["sample.fine.v1"] * 30)
    with world.worker(**TEST_BUILD, HOLDFAST_CRASH_POINT=point) as process:
        process.wait(KILLED_SECONDS)
    with world.worker(**BATCHES):
        wait_until(lambda: have_taken_effect(world, events))


def test_a_batch_whose_worker_dies_before_the_acknowledgement_takes_effect_once(world: World) -> None:
    events = publish(world, *["sample.fine.v1"] * 30)
    with world.worker(**TEST_BUILD, HOLDFAST_CRASH_POINT="batch.committed") as process:
        process.wait(KILLED_SECONDS)
    assert sum(world.count("effects", event.id) for event in events) > 1
    with world.worker(**BATCHES):
        wait_until(lambda: have_taken_effect(world, events))


def test_sigterm_finishes_the_batch_in_flight(world: World) -> None:
    events = publish(world, *["sample.fine.v1"] * 400)
    with world.worker(**BATCHES) as process:
        wait_until(lambda: world.count("effects", events[0].id) == 1)
        process.terminate()
        assert process.wait(KILLED_SECONDS) == 0
    done = sum(world.count("effects", event.id) for event in events)
    wait_until(lambda: world.waiting(QUEUE) == len(events) - done)


def test_flower_shows_each_event_of_a_batch(world: World) -> None:
    seen: dict[str, Any] = {}
    app = Celery("watching", broker=world.broker_url, set_as_current=False)
    app.conf.broker_connection_timeout = KILLED_SECONDS
    with app.connection() as connection, world.worker(**BATCHES):
        receiver = app.events.Receiver(
            connection, handlers={"task-succeeded": lambda event: seen.update({event["uuid"]: event["result"]})}
        )
        with receiver.consumer_context() as (listening, _, _):
            events = publish(world, *["sample.fine.v1"] * 40)
            while len(seen) < len(events):
                listening.drain_events(timeout=KILLED_SECONDS)
    assert seen == {f"{event.id}.sample": "'done'" for event in events}


@pytest.mark.slow
@pytest.mark.timeout(900)  # some twenty starts of a worker
def test_a_message_that_kills_its_worker_each_time_takes_no_healthy_one_with_it(world: World) -> None:
    """It kills its worker before the others are done, although there are threads for all of them."""
    killer = publish(world, "sample.crashing.v1")[0]
    healthy = publish(world, *["sample.slow.v1"] * 3)
    kills = 0
    while world.waiting(topology.DEAD_LETTERS) == 0:
        with world.worker(**BATCHES) as process:
            wait_until(lambda: process.poll() is not None or world.waiting(topology.DEAD_LETTERS) > 0, KILLED_SECONDS)
        kills += 1
    assert kills >= topology.DELIVERY_LIMIT
    with world.worker(**BATCHES):
        wait_until(lambda: have_taken_effect(world, healthy))
    assert json.loads(world.dead_letter()[1])["id"] == killer.id
    assert world.waiting(topology.DEAD_LETTERS) == 0
