"""A consuming worker, seen from outside: a real process, a real broker, a real database.

This is also where `celery_settings.py` is tried, and `redelivery.py`: what goes through the delay queues, what is dead.
"""

from __future__ import annotations

import json
import time

import pika
import pytest

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE
from common.messaging.relay import headers
from common.tests.worker_process import QUEUE, SECONDS, World, sample, wait_until

pytestmark = pytest.mark.integration


def test_an_event_takes_effect_once_however_often_it_is_delivered(world: World) -> None:
    event = sample("sample.fine.v1")
    with world.worker():
        for _ in range(5):
            world.publish(event)
        wait_until(lambda: world.count("attempts", event.id) >= 5)
        wait_until(lambda: world.waiting(QUEUE) == 0)
    assert world.count("effects", event.id) == 1


def test_a_rejected_event_is_dead_at_once_with_its_reason(world: World) -> None:
    event = sample("sample.rejected.v1")
    with world.worker():
        world.publish(event)
        found, body = world.dead_letter()
    assert json.loads(body) == event.to_document()
    assert found["holdfast-reason"] == "rejected"
    assert found["holdfast-error-class"] == "common.errors.Rejected"
    assert found["holdfast-queue"] == QUEUE
    assert "raise Rejected" in found["holdfast-traceback"]
    assert world.count("attempts", event.id) == 1


def test_a_failing_event_is_retried_with_backoff_and_then_dead_lettered(world: World) -> None:
    event = sample("sample.failing.v1")
    with world.worker(RETRY_ATTEMPTS="1"):
        world.publish(event)
        found, _ = world.dead_letter()
    assert world.count("attempts", event.id) == 2
    assert found["holdfast-reason"] == "attempts_exhausted"
    assert found["holdfast-attempt"] == 2
    assert "x-death" not in found


def test_a_retry_returns_to_the_failing_queue_alone(world: World) -> None:
    world.channel.queue_declare("bystander", durable=True)
    world.channel.queue_bind("bystander", topology.EVENTS.name, "#")
    with world.worker(RETRY_ATTEMPTS="1"):
        event = sample("sample.failing.v1")
        known = headers(event_id=event.id, event_type=event.type, correlation_id="c")
        properties = pika.BasicProperties(content_type=CONTENT_TYPE, headers=known)
        world.channel.basic_publish(topology.EVENTS.name, event.type, event.to_json().encode(), properties)
        world.dead_letter()
    received = iter(lambda: world.channel.basic_get("bystander", auto_ack=True)[2], None)
    documents = [json.loads(body) for body in received]
    assert [document["type"] for document in documents] == ["sample.failing.v1", "attempt.failed.v1"]
    reported = documents[1]
    assert (reported["source"], reported["subject"], reported["sequence"]) == ("/workers/sample", event.subject, 1)
    assert reported["data"]["event_id"] == event.id
    assert reported["data"]["error_class"] == "builtins.RuntimeError"


def test_an_outage_uses_up_no_attempt(world: World) -> None:
    event = sample("sample.held_up.v1")
    with world.worker(RETRY_ATTEMPTS="1"):
        world.publish(event)
        wait_until(lambda: world.count("attempts", event.id) >= 4)
        world.switch("repaired")
        wait_until(lambda: world.count("effects", event.id) == 1)
    assert world.waiting(topology.DEAD_LETTERS) == 0


def test_a_worker_pauses_while_a_dependency_is_down_and_resumes(world: World) -> None:
    """The probe of the sample worker is its database: here its role may not log in for a while."""
    with world.worker() as process:
        first = world.publish(sample("sample.fine.v1"))
        wait_until(lambda: world.count("effects", first) == 1)
        with world.database_away():
            events = [world.publish(sample("sample.fine.v1")) for _ in range(20)]
            wait_until(lambda: not world.has_consumer)
            time.sleep(2)
            assert not world.has_consumer
            assert world.waiting(topology.DEAD_LETTERS) == 0
        wait_until(lambda: all(world.count("effects", event_id) == 1 for event_id in events))
        assert process.poll() is None


def test_a_worker_killed_between_commit_and_acknowledgement_repeats_nothing(world: World) -> None:
    event = sample("sample.crashed_late.v1")
    world.publish(event)
    with world.worker() as process:
        process.wait(SECONDS)
    assert world.count("effects", event.id) == 1
    with world.worker() as process:
        wait_until(lambda: world.count("attempts", event.id) >= 2)
        time.sleep(0.5)
        wait_until(lambda: world.waiting(QUEUE) == 0)
    assert world.count("effects", event.id) == 1


def test_an_unknown_type_is_dead_with_its_reason(world: World) -> None:
    with world.worker():
        world.publish(sample("sample.unheard_of.v1"))
        found, _ = world.dead_letter()
    assert found["holdfast-error-class"].endswith("UnknownEventTypeError")


def test_a_message_that_kills_its_worker_each_time_ends_at_the_delivery_limit(world: World) -> None:
    event = sample("sample.crashing.v1")
    world.publish(event)
    charged = 0
    while charged <= topology.DELIVERY_LIMIT:
        # The same charge as a crash makes, without starting twenty workers.
        method, _, _ = world.channel.basic_get(QUEUE)
        if method is not None:
            charged += 1
            world.channel.basic_nack(method.delivery_tag or 0, requeue=True)
    found, body = world.dead_letter()
    assert json.loads(body)["id"] == event.id
    assert found["x-death"][0]["reason"] == "delivery_limit"


def test_sigterm_finishes_messages_in_flight(world: World) -> None:
    events = [sample("sample.fine.v1") for _ in range(50)]
    with world.worker() as process:
        wait_until(lambda: world.has_consumer)
        for event in events:
            world.publish(event)
        wait_until(lambda: any(world.count("effects", event.id) for event in events))
        process.terminate()
        assert process.wait(SECONDS) == 0
    done = sum(world.count("effects", event.id) for event in events)
    wait_until(lambda: world.waiting(QUEUE) == len(events) - done)
