"""The archive worker as a process between a real RabbitMQ and a real MongoDB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pika
import pytest

from common.messaging import topology
from common.messaging.events import Event, new_id, rfc3339, utc_now
from common.storage.mongodb import connect
from common.tests.ports import free_port
from common.tests.publishing import publish_events
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymongo.database import Database

pytestmark = pytest.mark.integration
SECONDS = 60.0


@pytest.fixture
def archive(document_store: str) -> Iterator[Database[dict[str, Any]]]:
    database = connect(document_store, timeout_seconds=SECONDS, name="test", pool_size=2)
    yield database
    database.client.close()


def sample(number: int) -> Event:
    return Event(
        id=new_id(),
        source="/services/test",
        type="thing.happened.v1",
        subject="thing-1",
        time=rfc3339(utc_now()),
        sequence=number,
        correlationid="request-1",
        data={"$number": number, "a.b": 2**70},
    )


@contextmanager
def worker(broker_url: str, mongodb_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"],
        "RABBITMQ_URL": broker_url,
        "MONGODB_URL": mongodb_url,
        "MONGODB_TIMEOUT_SECONDS": "1",
        "METRICS_PORT": str(free_port()),
        "RETRY_ATTEMPTS": "1",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.archive.main"], env=environment, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(SECONDS)


def eventually(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)


def filed(archive: Database[dict[str, Any]]) -> set[str]:
    return {document["_id"] for document in archive["events"].find({}, {"_id": 1})}


def dead_letters(broker_url: str) -> int:
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    try:
        found: int = connection.channel().queue_declare(topology.DEAD_LETTERS, passive=True).method.message_count
        return found
    finally:
        connection.close()


def test_every_published_event_is_stored_once(
    vhost: str, document_store: str, archive: Database[dict[str, Any]], tmp_path: Path
) -> None:
    log, events = tmp_path / "log", [sample(number) for number in range(1, 101)]
    topology.declare(vhost, {"archive": [topology.EVERYTHING]})
    publish_events(vhost, *events, *events)
    with worker(vhost, document_store, log) as process:
        eventually(lambda: len(filed(archive)) == len(events), log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert filed(archive) == {event.id for event in events}
    assert dead_letters(vhost) == 0


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_events_wait_without_using_attempts_while_mongodb_is_down(
    vhost: str, document_store: str, archive: Database[dict[str, Any]], tmp_path: Path, fault: str
) -> None:
    log = tmp_path / "log"
    topology.declare(vhost, {"archive": [topology.EVERYTHING]})
    with Link(document_store) as link, worker(vhost, link.url, log):
        first = sample(1)
        publish_events(vhost, first)
        eventually(lambda: filed(archive) == {first.id}, log)
        getattr(link, fault)()
        waiting = [sample(number) for number in range(2, 8)]
        publish_events(vhost, *waiting)
        # Longer than the only attempt and its retry.
        time.sleep(4.0)
        assert filed(archive) == {first.id}
        assert dead_letters(vhost) == 0
        link.restore()
        eventually(lambda: len(filed(archive)) == 1 + len(waiting), log)
        assert dead_letters(vhost) == 0
