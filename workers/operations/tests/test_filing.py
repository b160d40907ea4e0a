"""Filing dead letters: a real worker process (`raw_worker.py`), a real broker, a real MongoDB.

Also tests `amqp_json.py`, which converts the headers.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from common.messaging import topology
from common.messaging.events import CONTENT_TYPE
from common.tests.tcp_proxy import Link
from services.operations import usecases
from workers.operations.tests.worker_process import QUEUE, sample, wait_until

if TYPE_CHECKING:
    from workers.operations.tests.worker_process import OperationsWorker

pytestmark = pytest.mark.integration


def test_a_consumers_dead_letter_is_stored_with_its_error_and_headers(operations_worker: OperationsWorker) -> None:
    event = sample()
    with operations_worker.worker():
        operations_worker.bury(event)
        letter = operations_worker.letter()
        wait_until(lambda: operations_worker.waiting(topology.DEAD_LETTERS) == 0)
    assert letter["body"] == event.to_json().encode()
    expected = {
        "queue": QUEUE,
        "status": "filed",
        "reason": "attempts_exhausted",
        "error_class": "builtins.RuntimeError",
        "error": "a bug",
        "traceback": "Traceback ...\nRuntimeError: a bug",
        "attempts": 4,
        "event_id": event.id,
        "event_type": "sample.fine.v1",
        "subject": "s-1",
        "order_id": "o-1",
        "correlation_id": "c-1",
        "trace_id": "a" * 32,
    }
    assert {name: letter[name] for name in expected} == expected
    assert letter["failed_at"] <= letter["filed_at"]
    assert json.loads(letter["headers"])["shadow"] == "sample.fine.v1"
    assert [entry["kind"] for entry in letter["history"]] == ["filed"]


def test_a_redelivered_dead_letter_is_stored_once_and_a_new_arrival_extends_its_history(
    operations_worker: OperationsWorker,
) -> None:
    event = sample()
    with operations_worker.here():
        for _ in range(3):
            operations_worker.bury(event, **{"holdfast-failed-at": "2026-11-02T09:15:11.300000Z"})
        operations_worker.bury(event, **{"holdfast-error": "$another", "holdfast-queue": QUEUE})
        operations_worker.bury(event, **{"holdfast-queue": "other.events"})
        letter = operations_worker.letter(queue="other.events")
        wait_until(lambda: len(operations_worker.letter(queue=QUEUE)["history"]) == 2)
        wait_until(lambda: operations_worker.waiting(topology.DEAD_LETTERS) == 0)
        time.sleep(0.3)
    assert len(operations_worker.letters()) == 2
    assert letter["status"] == "filed"
    letter = operations_worker.letter(queue=QUEUE)
    assert letter["error"] in ("$another", "a bug")  # four threads store them, in any order
    assert sorted(entry["error"] for entry in letter["history"]) == ["$another", "a bug"]


POISON: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "random bytes": (b"\x00\xff\xfe" + bytes(range(256)), {"content_type": CONTENT_TYPE}, "not JSON"),
    "empty": (b"", {"content_type": CONTENT_TYPE}, "empty body"),
    "no properties": (b"hello", {}, "content type is missing"),
    "not an event": (b'{"specversion": "1.0"}', {"content_type": CONTENT_TYPE}, "id is not a text"),
    "a wrong content type": (
        sample().to_json().encode(),
        {"content_type": "application/json"},
        "content type is application/json",
    ),
    "deep": (b"[" * 100_000, {"content_type": CONTENT_TYPE}, "not JSON"),
    "it says it is compressed, and is": (
        zlib.compress(b"{}"),
        {"content_type": CONTENT_TYPE, "headers": {"compression": "application/x-gzip"}},
        "not JSON",
    ),
    "another encoding": (
        "\ufeff{}".encode("utf-16"),
        {"content_type": CONTENT_TYPE, "content_encoding": "utf-16"},
        "not JSON",
    ),
    "no such encoding": (b"\xff\xfe{}", {"content_type": CONTENT_TYPE, "content_encoding": "no-such"}, "not JSON"),
    "celery's own": (
        b"[[], {}, {}]",
        {"content_type": "application/json", "headers": {"task": "os.system", "id": "1", "expires": "x", "eta": 3}},
        "content type is application/json",
    ),
    "headers that BSON cannot name": (
        b"x",
        {"content_type": CONTENT_TYPE, "headers": {"$where": {"a.b": [1, None, True]}, "holdfast-attempt": "many"}},
        "not JSON",
    ),
}


def test_any_rejected_message_is_stored_unchanged_with_its_reason(
    operations_worker: OperationsWorker,
) -> None:
    with operations_worker.worker() as process:
        for body, properties, _ in POISON.values():
            operations_worker.reject(body, **properties)
        wait_until(lambda: len(operations_worker.letters()) == len(POISON))
        wait_until(lambda: operations_worker.waiting(topology.DEAD_LETTERS) == 0)
        assert process.poll() is None
    by_body = {letter["body"]: letter for letter in operations_worker.letters()}
    for name, (body, _, problem) in POISON.items():
        letter = by_body[body]
        assert (letter["reason"], letter["queue"]) == ("not_an_event", QUEUE), name
        assert problem in letter["error"], name
        assert letter["error_class"].endswith("InvalidEventError"), name


def test_a_body_of_ten_megabytes_is_stored_unchanged(operations_worker: OperationsWorker) -> None:
    body = os.urandom(10 * 1024 * 1024)
    with operations_worker.worker():
        operations_worker.reject(body, content_type=CONTENT_TYPE)
        letter = operations_worker.letter()
        wait_until(lambda: operations_worker.waiting(topology.DEAD_LETTERS) == 0)
    assert (letter["reason"], letter["body_bytes"]) == ("not_an_event", len(body))
    assert "larger than" in letter["error"]
    assert usecases.get_letter(operations_worker.database, letter["_id"]).body == body


def test_a_message_without_a_reason_is_stored(operations_worker: OperationsWorker) -> None:
    with operations_worker.here():
        operations_worker.publish(topology.DEAD_LETTERS, b"who am I?")
        operations_worker.publish(topology.DEAD_LETTERS, b"who am I?")
        wait_until(lambda: len(operations_worker.letters()) == 2)
    assert {letter["reason"] for letter in operations_worker.letters()} == {"unknown"}


@pytest.mark.parametrize("outage", ["cut", "freeze"])
def test_dead_letters_wait_in_the_broker_while_mongodb_is_down(
    operations_worker: OperationsWorker, outage: str
) -> None:
    with Link(operations_worker.store_url) as link, operations_worker.worker(MONGODB_URL=link.url):
        operations_worker.bury(sample())
        operations_worker.letter()
        getattr(link, outage)()
        events = [operations_worker.bury(sample()) for _ in range(30)]
        time.sleep(4)
        assert len(operations_worker.letters()) == 1
        link.restore()
        wait_until(lambda: len(operations_worker.letters()) == 31)
        wait_until(lambda: operations_worker.waiting(topology.DEAD_LETTERS) == 0)
    assert {letter["event_id"] for letter in operations_worker.letters()} >= {event.id for event in events}
    assert {len(letter["history"]) for letter in operations_worker.letters()} == {1}
