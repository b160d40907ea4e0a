"""The notifications worker as a process between a real RabbitMQ, a real MongoDB and a real receiver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging import topology
from common.tests.ports import free_port
from common.tests.publishing import publish_events
from common.tests.tcp_proxy import Link
from services.notifications import models
from services.notifications.domain import Status
from services.notifications.subscriptions import ALWAYS_BOUND
from services.notifications.tests.builders import KEY, deliveries_of, make_endpoint, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymongo.database import Database

    from common.tests.webhook_receiver import Receiver

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
SECONDS = 120.0


@contextmanager
def worker(broker_url: str, mongodb_url: str, log: Path, **also: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"],
        "RABBITMQ_URL": broker_url,
        "MONGODB_URL": mongodb_url,
        "METRICS_PORT": str(free_port()),
        "WEBHOOK_SECRET_KEYS": KEY,
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "RETRY_ATTEMPTS": "1",
        # A slow answer must not count as a failure: the webhook would be sent twice.
        "MONGODB_TIMEOUT_SECONDS": "30",
        "WEBHOOK_TIMEOUT_SECONDS": "30",
    } | also
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.notifications.main"], env=environment, stdout=output, stderr=output
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


def is_subscribed(store: Store, endpoint_id: str) -> bool:
    endpoint = models.get(store, endpoint_id)
    return endpoint is not None and not endpoint["is_unbound"]


def test_an_event_becomes_a_signed_webhook(
    vhost: str, document_store: str, store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    topology.declare(vhost, {"notifications": ALWAYS_BOUND})
    endpoint_id, secret = make_endpoint(store, f"{receiver.url}/a", "payment.captured.v1")
    with worker(vhost, document_store, log) as process:
        eventually(lambda: is_subscribed(store, endpoint_id), log)
        events = [sample("payment.captured.v1") for _ in range(20)]
        publish_events(vhost, *events, *events)
        found = receiver.wait_for(len(events), "/a", SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert {each.verified(secret)["id"] for each in found} == {event.id for event in events}
    assert [each["status"] for each in deliveries_of(store, endpoint_id)] == [Status.DELIVERED] * len(events)


def test_a_crash_between_the_response_and_the_record_sends_the_webhook_again(
    vhost: str, document_store: str, store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    log, trap = tmp_path / "log", {"HOLDFAST_TEST_BUILD": "1", "HOLDFAST_CRASH_POINT": "notifications.sent"}
    topology.declare(vhost, {"notifications": ALWAYS_BOUND})
    endpoint_id, secret = make_endpoint(store, f"{receiver.url}/a")
    event = sample("order.placed.v1")
    publish_events(vhost, event)
    with worker(vhost, document_store, log, **trap) as process:
        assert process.wait(SECONDS) == -signal.SIGKILL, log.read_text()[-3000:]
    assert deliveries_of(store, endpoint_id)[0]["status"] == Status.PENDING
    store["endpoints"].update_one({}, {"$set": {"leased_until": models.LONG_AGO, "next_due_at": models.LONG_AGO}})
    with worker(vhost, document_store, log):
        eventually(lambda: deliveries_of(store, endpoint_id)[0]["status"] == Status.DELIVERED, log)
    assert [each.verified(secret)["id"] for each in receiver.at("/a")] == [event.id] * 2


def test_events_wait_while_mongodb_is_down_and_sending_resumes(
    vhost: str, document_store: str, store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    topology.declare(vhost, {"notifications": ALWAYS_BOUND})
    make_endpoint(store, f"{receiver.url}/a")
    with Link(document_store) as link, worker(vhost, link.url, log, MONGODB_TIMEOUT_SECONDS="1"):
        publish_events(vhost, sample("order.placed.v1"))
        receiver.wait_for(1, "/a", SECONDS)
        link.cut()
        publish_events(vhost, *(sample("order.placed.v1") for _ in range(5)))
        time.sleep(4.0)  # longer than the only attempt and its retry
        assert len(receiver.at("/a")) == 1
        link.restore()
        receiver.wait_for(6, "/a", SECONDS)
