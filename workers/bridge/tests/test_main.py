"""The bridge as a process between a real MongoDB and librdkafka's mock cluster, behind proxies that cut.

`loop.py`, `producer.py`, `storage.py`, `backfill.py`, `metrics.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
import requests

from common.messaging.events import from_json, new_id, utc_now
from common.storage.document_migrations import upgrade
from common.storage.mongodb import connect
from common.tests.ports import free_port
from common.tests.tcp_proxy import Link
from services.archive import migrations, models
from services.archive.event_log import EventLog
from services.archive.tests.event_samples import happening
from workers.bridge.tests.kafka import SECONDS, KafkaLink, MockCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration
TOPICS = ["holdfast.orders", "holdfast.payments"]


class Process:
    """A bridge process that can be killed and restarted."""

    def __init__(self, mongodb_url: str, broker_url: str, log: Path, **settings: str) -> None:
        self._port = free_port()
        database = mongodb_url.rpartition("/")[2].partition("?")[0]
        self._environment = {
            "PATH": os.environ["PATH"],
            "MONGODB_URL": mongodb_url,
            "KAFKA_BROKER_URL": broker_url,
            "BRIDGE_DATABASE": database,
            "METRICS_PORT": str(self._port),
            "MONGODB_TIMEOUT_SECONDS": "60",  # at its end it stores its position once
        } | settings
        self.log = log
        self.start()

    def start(self) -> None:
        self.process = self._run("workers.bridge.main")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def metric(self, name: str) -> float:
        text = requests.get(f"http://127.0.0.1:{self._port}/metrics", timeout=SECONDS).text
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))

    def backfill(self) -> None:
        assert self._run("workers.bridge.backfill").wait(SECONDS) == 0

    def _run(self, module: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen([sys.executable, "-m", module], env=self._environment, stdout=output, stderr=output)


@pytest.fixture
def log(document_store: str) -> Iterator[EventLog]:
    database = connect(document_store, timeout_seconds=SECONDS, name="test", pool_size=4)
    upgrade(migrations, database, wait_seconds=SECONDS)
    yield EventLog(database)
    database.client.close()


@pytest.fixture
def bridge(document_store: str, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(broker_url: str, mongodb_url: str = document_store, **settings: str) -> Process:
        started.append(Process(mongodb_url, broker_url, tmp_path / "bridge.log", **settings))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def archive(log: EventLog, orders: int) -> list[str]:
    """Events of several orders from two sources; some arrive before their predecessors. Returns their ids."""
    ids = []
    for number in range(orders):
        order = new_id()
        events = [happening(subject=order, orderid=order, sequence=sequence) for sequence in (1, 2, 3)]
        events.append(happening(subject=order, source="/services/payments", type="payment.captured.v1"))
        for event in events[::-1] if number % 3 == 0 else events:
            assert log.append(models.event_document(event, customer_id=None, received_at=utc_now()))
            ids.append(event.id)
    return ids


def stored(log: EventLog) -> int:
    found: dict[str, Any] | None = log.database["positions"].find_one({"_id": "kafka"})
    return int(found["position"]) if found else 0


def eventually(condition: Callable[[], bool], process: Process) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, process.log.read_text()[-3000:]
        time.sleep(0.05)


def check(cluster: MockCluster, ids: list[str]) -> int:
    """Check that every event was published, per subject in order; returns the number of duplicated events."""
    seen: list[str] = []
    for messages in cluster.read(TOPICS).values():
        sequences: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for message in messages:
            event = from_json(message.value())
            assert message.key() == event.subject.encode()
            assert dict(message.headers())["content-type"].startswith(b"application/cloudevents+json")
            line = sequences[event.source, event.subject]
            if event.sequence not in line:
                line.append(event.sequence)
            seen.append(event.id)
        assert all(line == sorted(line) for line in sequences.values())
    assert set(seen) == set(ids)
    return len(seen) - len(ids)


def test_every_archived_event_is_published_in_order(log: EventLog, bridge: Callable[..., Process]) -> None:
    cluster = MockCluster()
    ids = archive(log, 20)
    process = bridge(cluster.url)
    ids += archive(log, 20)
    eventually(lambda: stored(log) == len(ids), process)
    assert check(cluster, ids) == 0
    assert process.stop() == 0
    ids += archive(log, 5)
    process.start()
    eventually(lambda: stored(log) == len(ids), process)
    assert check(cluster, ids) == 0  # after a clean stop nothing is repeated
    process.backfill()
    before = len(ids)
    eventually(lambda: check(cluster, ids) == before, process)


def test_kills_and_cut_connections_lose_no_event(
    log: EventLog, bridge: Callable[..., Process], document_store: str
) -> None:
    cluster = MockCluster()
    ids: list[str] = []
    with KafkaLink(cluster) as kafka, Link(document_store) as mongodb:
        process = bridge(kafka.broker_url, mongodb.url)
        for _ in range(3):
            ids += archive(log, 15)
            kafka.cut()
            ids += archive(log, 15)
            kafka.restore()
            process.kill()
            process.start()
            ids += archive(log, 15)
            mongodb.cut()
            mongodb.restore()
        eventually(lambda: stored(log) == len(ids), process)
        assert process.stop() == 0
    check(cluster, ids)


def test_events_wait_while_kafka_is_down(log: EventLog, bridge: Callable[..., Process]) -> None:
    cluster = MockCluster()
    with KafkaLink(cluster) as kafka:
        ids = archive(log, 5)
        process = bridge(kafka.broker_url)
        eventually(lambda: stored(log) == len(ids), process)
        kafka.freeze()
        ids += archive(log, 20)
        eventually(lambda: process.metric("holdfast_bridge_lag_seconds") > 1, process)
        assert process.metric("holdfast_bridge_unconfirmed") > 0
        assert stored(log) == 20
        kafka.restore()
        eventually(lambda: stored(log) == len(ids), process)
    check(cluster, ids)


def test_a_gap_is_skipped_after_its_time_out(log: EventLog, bridge: Callable[..., Process]) -> None:
    cluster = MockCluster()
    order = new_id()
    process = bridge(cluster.url, BRIDGE_GAP_SECONDS="1")
    events = [happening(subject=order, sequence=1), happening(subject=order, sequence=3)]
    other = happening(subject=order, source="/services/payments")
    for event in (*events, other):
        log.append(models.event_document(event, customer_id=None, received_at=utc_now()))
    eventually(lambda: stored(log) == 3, process)
    check(cluster, [event.id for event in (*events, other)])
    assert "published without their predecessors" in process.log.read_text()


def test_it_idles_without_a_broker(bridge: Callable[..., Process], log: EventLog) -> None:
    archive(log, 1)
    process = bridge("")
    eventually(lambda: "KAFKA_BROKER_URL is not set" in process.log.read_text(), process)
    assert process.stop() == 0
    assert stored(log) == 0
