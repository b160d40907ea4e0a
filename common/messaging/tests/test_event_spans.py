"""The spans of an event: outbox, relay, worker, and the events that it causes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from common.messaging import topology
from common.messaging.event_spans import taking_span
from common.messaging.events import from_json
from common.observability import tracing
from common.tests.otlp_receiver import Collector, Received, recording
from common.tests.outboxes import ROUTED, Outbox, QueueReader, eventually, make_event, make_relay, running
from common.tests.worker_process import World, sample, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from common.messaging.events import Event

pytestmark = pytest.mark.integration
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@contextmanager
def traced_worker(world: World, **variables: str) -> Iterator[Collector]:
    with Collector() as collector, world.worker(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables):
        yield collector


def traced(event_type: str) -> Event:
    return replace(sample(event_type), traceparent=PARENT, orderid="o-1")


def parent_of(span: Received) -> str:
    return f"00-{span.trace_id}-{span.parent_id}-01"


def test_the_relays_publishing_belongs_to_the_trace_of_each_event(database: Callable[[], str], vhost: str) -> None:
    box = Outbox(database())
    events = [replace(make_event(1), traceparent=PARENT), make_event(2), replace(make_event(3), traceparent=PARENT)]
    with recording("relay") as collector, QueueReader(vhost) as reader:
        box.add(*events, replace(make_event(4), traceparent=PARENT[:-2] + "00"))
        with running(make_relay(box, vhost)):
            eventually(lambda: box.waiting() == [])
        tracing.shutdown()
        published = reader.read()
        spans = collector.named(f"publish {ROUTED}")
    box.close()
    assert len(published) == 4
    assert reader.received[:3] == events
    assert [span.attributes["cloudevents.event_id"] for span in spans] == published[:3]
    assert [parent_of(spans[0]), parent_of(spans[2])] == [PARENT, PARENT]
    assert spans[1].parent_id == ""
    assert {(span.kind, span.attributes["messaging.destination.name"]) for span in spans} == {
        ("producer", "holdfast.events")
    }
    assert all(0 <= span.attributes["holdfast.outbox_seconds"] < 100 for span in spans)
    assert len(collector.spans) == 3


def test_a_delivery_is_a_span_below_what_caused_the_event(world: World) -> None:
    with traced_worker(world) as collector:
        event = traced("sample.fine.v1")
        world.publish(event)
        (span,) = collector.wait_for("process sample.fine.v1")
        world.publish(event)
        collector.wait_until(lambda: len(collector.named("process sample.fine.v1")) == 2)
    assert (parent_of(span), span.kind, span.service) == (PARENT, "consumer", "worker-sample")
    assert (
        span.attributes
        | {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": "sample.events",
            "messaging.message.id": event.id,
            "messaging.message.conversation_id": "c-1",
            "cloudevents.event_type": "sample.fine.v1",
            "cloudevents.event_id": event.id,
            "holdfast.order_id": "o-1",
            "holdfast.attempt": 1,
            "holdfast.outcome": "done",
        }
        == span.attributes
    )
    again = collector.named("process sample.fine.v1")[1]
    assert (again.attributes["holdfast.outcome"], again.failed) == ("duplicate", False)
    assert [below.name for below in collector.spans if below.parent_id == span.span_id] == ["transaction"] * 2


def test_failed_attempts_and_the_dead_letter_show_in_the_trace(world: World) -> None:
    world.channel.queue_declare("reports", exclusive=True)
    world.channel.queue_bind("reports", topology.EVENTS.name, "attempt.failed.v1")
    with traced_worker(world, RETRY_ATTEMPTS="1") as collector:
        event_id = world.publish(traced("sample.failing.v1"))
        headers, body = world.dead_letter()
        collector.wait_until(lambda: len(collector.named("process sample.failing.v1")) == 2)
    first, second = sorted(collector.named("process sample.failing.v1"), key=lambda span: span.started_ns)
    assert headers["holdfast-attempt"] == 2
    assert (from_json(body).id, from_json(body).traceparent) == (event_id, PARENT)
    assert {parent_of(first), parent_of(second)} == {PARENT}
    seen = [(s.attributes["holdfast.attempt"], s.attributes["holdfast.outcome"], s.failed) for s in (first, second)]
    assert seen == [(1, "retried", True), (2, "dead", True)]
    assert first.attributes["error.type"] == "builtins.RuntimeError"
    assert first.events[1] == ("retried later", {"attempt": 1, "seconds": 1})
    assert second.events[1] == ("dead-lettered", {"reason": "attempts_exhausted", "attempts": 2})
    _method, _properties, reported = world.channel.basic_get("reports", auto_ack=True)
    assert from_json(reported or b"").traceparent == first.traceparent


def test_an_outage_is_no_failure_of_the_delivery(world: World) -> None:
    with traced_worker(world) as collector:
        world.publish(traced("sample.held_up.v1"))
        (span,) = collector.wait_for("process sample.held_up.v1")
    assert (span.attributes["holdfast.outcome"], span.failed) == ("parked", False)
    assert span.events[0][0] == "parked"


@pytest.mark.parametrize("given", [None, "x" * 500, "00-nonsense"])
def test_a_foreign_event_without_a_usable_trace_begins_one(world: World, given: str | None) -> None:
    with traced_worker(world) as collector:
        world.publish(replace(sample("sample.fine.v1"), traceparent=given))
        (span,) = collector.wait_for("process sample.fine.v1")
    assert span.parent_id == ""


def test_with_the_collector_away_events_take_effect(world: World) -> None:
    with Collector() as gone:
        url = gone.url
    with world.worker(OTEL_EXPORTER_OTLP_ENDPOINT=url) as process:
        ids = [world.publish(traced("sample.fine.v1")) for _ in range(50)]
        wait_until(lambda: all(world.count("effects", event_id) == 1 for event_id in ids))
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("body", "parent"),
    [
        (traced("sample.fine.v1").to_json().encode(), PARENT.split("-")[2]),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b'{"traceparent": 7}', ""),
        (b"null", ""),
        (b" " * 300_000, ""),
    ],
    ids=["event", "bytes", "deep", "number", "null", "large"],
)
def test_a_message_that_may_be_anything_belongs_to_the_trace_of_the_event_in_it(body: bytes, parent: str) -> None:
    with recording() as collector, taking_span("operations", topology.DEAD_LETTERS, body):
        pass
    tracing.shutdown()
    (span,) = collector.wait_for("take operations.dead-letters")
    assert (span.kind, span.parent_id, span.attributes["messaging.message.body.size"]) == (
        "consumer",
        parent,
        len(body),
    )
