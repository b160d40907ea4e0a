"""What /metrics says of events that were handled and of those that were not; on a real broker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from common.errors import Rejected, Unavailable
from common.messaging import topology
from common.messaging.consumer import Consumer
from common.messaging.consumer_pause import ConsumerPause
from common.messaging.events import Event, new_id, rfc3339, utc_now
from common.messaging.inbox import AlreadyHandled, Delivery
from common.messaging.redelivery import Incoming, Redelivery
from common.observability import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
COUNT, SUM = "holdfast_event_age_seconds_count", "holdfast_event_age_seconds_sum"
FAILED, HANDLED = "holdfast_event_failures_total", "holdfast_events_handled_total"


def outcome(_delivery: Delivery, errors: list[Exception]) -> None:
    if errors:
        raise errors.pop()


def read() -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        (sample.name, *sample.labels.values()): sample.value
        for sample in samples
        if sample.labels.get("consumer") == "measured" and sample.name in {COUNT, SUM, FAILED}
    }


@pytest.fixture
def handle(vhost: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[tuple[str, ...], float]]]:
    """Have an event handled that is `seconds` old, with an error to be raised; returns what /metrics says more."""
    monkeypatch.setattr("common.messaging.redelivery.CONFIRM_SECONDS", 60.0)  # however slow, the broker is not away
    topology.declare(vhost, {"measured": ["sample.fine.v1"]}, timeout_seconds=60)
    errors: list[Exception] = []
    redelivery = Redelivery(vhost, topology.events_queue("measured"))
    handlers = {"sample.fine.v1": outcome}
    consumer = Consumer("measured", handlers, errors, redelivery, retry_attempts=3, pause=ConsumerPause("measured", {}))
    event = Event(
        id=new_id(),
        source="/services/sample",
        type="sample.fine.v1",
        subject="s-1",
        time="",
        sequence=1,
        correlationid="c-1",
        data={},
    )

    def act(*, seconds: float = 0, error: Exception | None = None, **headers: object) -> dict[tuple[str, ...], float]:
        before = read()
        errors[:] = [error] if error else []
        made = replace(event, time=rfc3339(utc_now() - timedelta(seconds=seconds)))
        consumer.handle(
            made, Incoming(made.to_json(), {name.replace("_", "-"): each for name, each in headers.items()})
        )
        after = read()
        return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}

    yield act
    redelivery._connection.collect(socket_timeout=1)


def test_the_age_of_an_event_is_its_time_in_outbox_and_queue(
    handle: Callable[..., dict[tuple[str, ...], float]],
) -> None:
    found = handle(seconds=40)
    assert found[COUNT, "measured"] == 1
    assert 40 <= found[SUM, "measured"] < 100
    # The publisher's clock may be ahead of ours.
    assert handle(seconds=-3600).get((SUM, "measured"), 0) == 0


def test_intended_delays_do_not_count_as_age(handle: Callable[..., dict[tuple[str, ...], float]]) -> None:
    assert handle(holdfast_attempt=1) == {}
    assert handle(holdfast_replay=new_id()) == {}
    assert handle(error=AlreadyHandled()) == {}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("a bug"), ("RuntimeError", "retried")),
        (Rejected("never"), ("Rejected", "dead")),
        (Unavailable("the dependency is away"), ("Unavailable", "parked")),
    ],
    ids=str,
)
def test_failures_are_counted_by_outcome_and_class(
    handle: Callable[..., dict[tuple[str, ...], float]], error: Exception, expected: tuple[str, str]
) -> None:
    assert handle(error=error) == {(FAILED, "measured", *expected): 1}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "done"),
        (AlreadyHandled(), "duplicate"),
        (RuntimeError("a bug"), "retried"),
        (Rejected("never"), "dead"),
        (Unavailable("the dependency is away"), "parked"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_every_delivery_is_counted_by_its_outcome(
    handle: Callable[..., dict[tuple[str, ...], float]], error: Exception | None, expected: str
) -> None:
    def counted() -> dict[str, float]:
        outcomes = ("done", "duplicate", "retried", "dead", "parked")
        labels = {"consumer": "measured", "type": "sample.fine.v1"}
        return {name: REGISTRY.get_sample_value(HANDLED, labels | {"outcome": name}) or 0 for name in outcomes}

    before = counted()
    handle(error=error)
    assert {name: count - before[name] for name, count in counted().items() if count > before[name]} == {expected: 1}
