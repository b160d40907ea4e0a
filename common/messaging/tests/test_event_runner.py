"""A worker after one that died, seen from outside: a real process, a real broker, a real database."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.messaging import topology
from common.storage.postgresql import transaction
from common.tests.sample_worker import SLOW_SECONDS
from common.tests.worker_process import World, sample, wait_until

if TYPE_CHECKING:
    from datetime import datetime

    from common.messaging.events import Event

pytestmark = pytest.mark.integration
KILLED_SECONDS = 60


def publish(world: World, type_: str, count: int) -> list[Event]:
    events = [sample(type_) for _ in range(count)]
    for event in events:
        world.publish(event)
    return events


def attempts(world: World, events: list[Event]) -> list[datetime]:
    query = text("SELECT at FROM attempts WHERE event_id = ANY(CAST(:ids AS uuid[])) ORDER BY at")
    with transaction(world.engine) as connection:
        return list(connection.execute(query, {"ids": [event.id for event in events]}).scalars())


def now(world: World) -> datetime:
    with transaction(world.engine) as connection:
        found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return found


@pytest.mark.parametrize("size", ["1", "64"])
def test_what_a_dead_worker_held_is_handled_one_message_after_the_other(world: World, size: str) -> None:
    """At once with others, the message that ended it would end the next one before they are done."""
    killer = publish(world, "sample.crashing.v1", 1)
    healthy = publish(world, "sample.slow.v1", 3)
    with world.worker(EVENT_BATCH_SIZE=size) as process:
        process.wait(KILLED_SECONDS)
    world.switch("repaired")
    died = now(world)
    with world.worker(EVENT_BATCH_SIZE=size):
        wait_until(lambda: all(world.count("effects", event.id) == 1 for event in killer + healthy))
    # The first worker may have begun some of them if it took long to die.
    moments = [moment for moment in attempts(world, healthy) if moment > died]
    pauses = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(moments)]
    assert len(moments) == len(healthy)
    assert min(pauses) >= SLOW_SECONDS


def test_new_events_are_handled_at_once(world: World) -> None:
    events = publish(world, "sample.meeting.v1", 2)
    with world.worker(RETRY_ATTEMPTS="0"):
        wait_until(lambda: all(world.count("effects", event.id) == 1 for event in events))
    assert world.waiting(topology.DEAD_LETTERS) == 0
