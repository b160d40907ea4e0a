"""A mock Kafka behind a proxy: messages sent while it refuses connections arrive afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer

from chaos_tests.proxy.kafka import MockKafka

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0


@pytest.fixture
def kafka() -> Iterator[MockKafka]:
    kafka = MockKafka()
    yield kafka
    kafka.stop()


def send(producer: Producer, *numbers: int, kind: str = "order.placed.v1") -> None:
    for number in numbers:
        event = {"id": f"event-{number}", "source": "/s", "subject": "order", "sequence": number, "type": kind}
        producer.produce("holdfast.orders", key=b"order", value=json.dumps(event).encode())


def test_messages_sent_during_an_outage_arrive_afterwards(kafka: MockKafka) -> None:
    producer = Producer({"bootstrap.servers": kafka.address, "enable.idempotence": True, "log_level": 0})
    send(producer, 1, 2)
    assert producer.flush(SECONDS) == 0
    kafka.refuse()
    send(producer, 3, 4)
    assert producer.flush(0.5) == 2
    kafka.read()
    assert set(kafka.events) == {"event-1", "event-2"}
    kafka.accept()
    assert producer.flush(SECONDS) == 0
    kafka.read()
    assert set(kafka.events) == {f"event-{number}" for number in (1, 2, 3, 4)}
    assert kafka.sequences["/s", "order"] == [1, 2, 3, 4]


def test_duplicates_are_counted_and_reordering_is_detected(kafka: MockKafka) -> None:
    producer = Producer({"bootstrap.servers": kafka.address})
    send(producer, 2, 1, 1)
    send(producer, 7, kind="attempt.failed.v1")
    assert producer.flush(SECONDS) == 0
    kafka.read()
    assert kafka.events["event-1"] == 2
    assert kafka.sequences == {("/s", "order"): [2, 1]}
