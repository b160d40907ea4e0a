"""The mail worker as a process between a real RabbitMQ, a real MongoDB and a real mail server."""

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
from common.tests.ports import free_port
from common.tests.publishing import publish_events
from workers.mail.consumers import HANDLERS
from workers.mail.sent_mails import LONG_AGO
from workers.mail.tests.catching import ADDRESS, CUSTOMER, TOKEN
from workers.mail.tests.test_consumers import CANCELLED, CONFIRMED, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymongo.database import Database

    from common.messaging.events import Event
    from workers.mail.tests.catching import Catcher, Users

pytestmark = pytest.mark.integration
SECONDS = 120.0


@pytest.fixture
def settings(vhost: str, document_store: str, catcher: Catcher, users: Users) -> dict[str, str]:
    # This queue receives every published message, including dead letters and failed attempts.
    topology.declare(vhost, {"mail": HANDLERS, "archive": [topology.EVERYTHING]})
    return {
        "PATH": os.environ["PATH"],
        "RABBITMQ_URL": vhost,
        "MONGODB_URL": document_store,
        "USERS_URL": users.url,
        "CONTACT_TOKENS": TOKEN,
        "SMTP_URL": catcher.url,
        # A slow answer must not count as an outage: the mail would be sent twice. Leases still end within `SECONDS`.
        "SMTP_TIMEOUT_SECONDS": "30",
        "MONGODB_TIMEOUT_SECONDS": "30",
        "MAIL_FROM": "Shop <orders@shop.example>",
        "RETRY_ATTEMPTS": "1",
        "LOG_LEVEL": "DEBUG",
    }


@contextmanager
def worker(settings: dict[str, str], log: Path, **also: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = settings | {"METRICS_PORT": str(free_port())} | also
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workers.mail.main"], env=environment, stdout=output, stderr=output
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


def messages(broker_url: str, queue: str) -> list[tuple[dict[str, Any], str]]:
    """Headers and bodies of the messages in a queue, without consuming them."""
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        found: list[tuple[dict[str, Any], str]] = []
        while True:
            method, properties, body = channel.basic_get(queue)
            if method is None or properties is None or body is None:
                return found
            found.append((dict(properties.headers or {}), body.decode()))


def count(broker_url: str, queue: str) -> int:
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        return int(connection.channel().queue_declare(queue, passive=True).method.message_count)


def message_ids(catcher: Catcher) -> list[str]:
    return sorted(str(mail["Message-ID"]) for mail in catcher.mails)


def expected(*events: Event) -> list[str]:
    return sorted(f"<{each.id}@shop.example>" for each in events)


def test_a_confirmation_and_a_cancellation_are_mailed_once(
    settings: dict[str, str], catcher: Catcher, tmp_path: Path
) -> None:
    log, events = tmp_path / "log", [event(CONFIRMED), event(CANCELLED), event(CONFIRMED)]
    with worker(settings, log) as process:
        publish_events(settings["RABBITMQ_URL"], *events, *events)
        eventually(lambda: len(catcher.mails) >= len(events), log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert message_ids(catcher) == expected(*events)
    assert ADDRESS not in log.read_text()


def test_mails_wait_for_the_mail_server_and_are_sent_once(
    settings: dict[str, str], catcher: Catcher, tmp_path: Path
) -> None:
    log, events = tmp_path / "log", [event(CONFIRMED) for _ in range(10)]
    catcher.stop()
    with worker(settings, log):
        publish_events(settings["RABBITMQ_URL"], *events)
        eventually(lambda: "paused" in log.read_text(), log)
        time.sleep(4.0)  # longer than the only attempt and its retry
        catcher.start()
        eventually(lambda: len(catcher.mails) >= len(events), log)
    assert message_ids(catcher) == expected(*events)
    assert count(settings["RABBITMQ_URL"], topology.DEAD_LETTERS) == 0
    assert ADDRESS not in log.read_text()


def test_mails_wait_for_the_users_service(
    settings: dict[str, str], catcher: Catcher, users: Users, tmp_path: Path
) -> None:
    log, received = tmp_path / "log", event(CONFIRMED)
    users.status = 503
    with worker(settings, log):
        publish_events(settings["RABBITMQ_URL"], received)
        eventually(lambda: "paused" in log.read_text(), log)
        time.sleep(4.0)
        users.contacts[CUSTOMER] = {"username": "johndoe", "email": "new@shop.example"}
        users.status = 200
        eventually(lambda: bool(catcher.mails), log)
    assert catcher.recipients == ["new@shop.example"]
    assert count(settings["RABBITMQ_URL"], topology.DEAD_LETTERS) == 0


def test_a_rejected_recipient_causes_a_dead_letter_without_the_address(
    settings: dict[str, str], catcher: Catcher, tmp_path: Path
) -> None:
    log, refused, deferred, sent = tmp_path / "log", event(CONFIRMED), event(CONFIRMED), event(CANCELLED)
    broker = settings["RABBITMQ_URL"]
    catcher.recipient = "550 5.1.1 <{address}>: user unknown"
    with worker(settings, log):
        publish_events(broker, refused)
        eventually(lambda: count(broker, topology.DEAD_LETTERS) == 1, log)
        catcher.recipient = "450 4.7.1 <{address}>: greylisted"
        publish_events(broker, deferred)
        eventually(lambda: "retried later" in log.read_text(), log)
        catcher.recipient = ""
        publish_events(broker, sent)
        eventually(lambda: len(catcher.mails) >= 2, log)
    [(known, body)] = messages(broker, topology.DEAD_LETTERS)
    assert known["holdfast-reason"] == "rejected"
    assert "550 5.1.1" in str(known)
    assert refused.id in body
    assert message_ids(catcher) == expected(deferred, sent)
    everything = f"{known}{body}{messages(broker, 'archive.events')}{log.read_text()}"
    assert ADDRESS not in everything
    assert TOKEN not in everything


def test_a_crash_after_sending_repeats_the_mail_with_the_same_message_id(
    settings: dict[str, str], catcher: Catcher, store: Database[dict[str, Any]], tmp_path: Path
) -> None:
    """SMTP cannot prevent this: see docs/decisions/0024."""
    log, received = tmp_path / "log", event(CONFIRMED)
    trap = {"HOLDFAST_TEST_BUILD": "1", "HOLDFAST_CRASH_POINT": "mail.sent"}
    publish_events(settings["RABBITMQ_URL"], received)
    with worker(settings, log, **trap) as process:
        assert process.wait(SECONDS) == -signal.SIGKILL, log.read_text()[-3000:]
    ended = {"$set": {"leased_until": LONG_AGO}}
    assert store["mails"].update_many({"status": "open"}, ended).modified_count == 1
    with worker(settings, log):
        eventually(lambda: store["mails"].count_documents({"status": "sent"}) == 1, log)
    assert message_ids(catcher) == expected(received) * 2


def test_events_are_consumed_and_dropped_without_a_mail_server(settings: dict[str, str], tmp_path: Path) -> None:
    log, broker = tmp_path / "log", settings["RABBITMQ_URL"]
    publish_events(broker, event(CONFIRMED))
    with worker(settings, log, SMTP_URL="") as process:
        eventually(lambda: "SMTP_URL is not set" in log.read_text(), log)
        eventually(lambda: count(broker, topology.events_queue("mail")) == 0, log)
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert count(broker, topology.events_queue("mail")) == 0
