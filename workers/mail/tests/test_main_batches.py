"""Batches of the mail worker as a process, and its death inside one."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from common.messaging import topology
from common.tests.ports import free_port
from common.tests.publishing import publish_events
from workers.mail.sent_mails import LONG_AGO
from workers.mail.tests.test_consumers import CONFIRMED, event
from workers.mail.tests.test_main import (
    SECONDS,
    count,
    eventually,
    expected,
    message_ids,
    settings,
    worker,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pymongo.database import Database

    from workers.mail.tests.catching import Catcher, Users

pytestmark = pytest.mark.integration
__all__ = ["settings"]  # the fixture
THREADS = 3


@pytest.fixture
def batches(settings: dict[str, str]) -> dict[str, str]:
    return settings | {"WORKER_THREADS": str(THREADS)}


def test_waiting_events_are_handled_in_batches(
    batches: dict[str, str], catcher: Catcher, users: Users, store: Database[dict[str, Any]], tmp_path: Path
) -> None:
    log, events = tmp_path / "log", [event(CONFIRMED) for _ in range(40)]
    publish_events(batches["RABBITMQ_URL"], *events, *events[:10])
    with worker(batches, log) as process:
        eventually(lambda: log.read_text().count("duplicate dropped") >= 10, log)
        eventually(lambda: store["mails"].count_documents({"status": "sent"}) == len(events), log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    assert message_ids(catcher) == expected(*events)
    assert len(users.lookups) + len(users.requests) < len(events) / 2


@pytest.mark.parametrize("size", ["1", "64"])
def test_only_the_rejected_mail_of_a_batch_is_a_dead_letter(
    batches: dict[str, str], catcher: Catcher, users: Users, tmp_path: Path, size: str
) -> None:
    log, broker = tmp_path / "log", batches["RABBITMQ_URL"]
    events = [event(CONFIRMED) for _ in range(20)]
    refused = event(CONFIRMED, customer_id="01928f6d-11aa-7c21-8d43-5b7e9f00c2ee")
    users.contacts[refused.data["customer_id"]] = {"username": "x", "email": "refused@shop.example"}
    catcher.refusals["refused@shop.example"] = "550 5.1.1 <{address}>: user unknown"
    publish_events(broker, *events[:10], refused, *events[10:])
    with worker(batches, log, EVENT_BATCH_SIZE=size):
        eventually(lambda: count(broker, topology.DEAD_LETTERS) == 1, log)
        eventually(lambda: len(catcher.mails) >= len(events), log)
    assert message_ids(catcher) == expected(*events)
    assert bool(users.lookups) is (size != "1")
    assert "refused@shop.example" not in log.read_text()


@pytest.mark.parametrize("place", ["mail.claimed", "mail.sent:2", "mail.sent:9", "batch.committed"])
def test_a_crash_during_a_batch_repeats_at_most_one_mail_per_thread(
    batches: dict[str, str],
    catcher: Catcher,
    store: Database[dict[str, Any]],
    tmp_path: Path,
    place: str,
) -> None:
    log, events = tmp_path / "log", [event(CONFIRMED) for _ in range(30)]
    publish_events(batches["RABBITMQ_URL"], *events)
    with worker(batches, log, HOLDFAST_TEST_BUILD="1", HOLDFAST_CRASH_POINT=place) as process:
        assert process.wait(SECONDS) == -signal.SIGKILL, log.read_text()[-3000:]
    ended = {"$set": {"leased_until": LONG_AGO}}
    claimed = store["mails"].update_many({"status": "open"}, ended).modified_count
    assert claimed > 0 or place == "batch.committed"
    with worker(batches, log):
        eventually(lambda: store["mails"].count_documents({"status": "sent"}) == len(events), log)
    sent = message_ids(catcher)
    assert sorted(set(sent)) == expected(*events)
    repeated = len(sent) - len(events)
    assert 1 <= repeated <= THREADS if place.startswith("mail.sent") else repeated == 0


def test_batches_are_consumed_and_dropped_without_a_mail_server(
    batches: dict[str, str], store: Database[dict[str, Any]], tmp_path: Path
) -> None:
    log, port = tmp_path / "log", free_port()
    publish_events(batches["RABBITMQ_URL"], *(event(CONFIRMED) for _ in range(30)))
    with worker(batches, log, SMTP_URL="", METRICS_PORT=str(port)):
        eventually(lambda: 'holdfast_mails_total{kind="confirmed",outcome="off"} 30.0' in metrics(port), log)
        assert "holdfast_event_batch_size_count" in metrics(port)
    assert store["mails"].count_documents({}) == 0


def metrics(port: int) -> str:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        return str(reply.read().decode())
    return ""
