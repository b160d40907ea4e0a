"""Replays: from the recorded request to the queue of the event. Real processes, a real broker and store."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Conflict
from common.messaging import topology
from common.messaging.events import CONTENT_TYPE, InvalidEventError, new_id
from common.messaging.redelivery import Incoming
from services.operations import usecases
from services.operations.domain import UNDECIDED, Filter
from workers.operations.tests.worker_process import QUEUE, sample, wait_until

if TYPE_CHECKING:
    from workers.operations.tests.worker_process import Delivered, OperationsWorker

pytestmark = pytest.mark.integration
BODY = os.urandom(10 * 1024 * 1024)


def replay(operations_worker: OperationsWorker, letter: dict[str, Any], event: dict[str, Any] | None = None) -> None:
    usecases.request_replay(operations_worker.database, letter["_id"], by="ann", event=event)


def kinds(letter: dict[str, Any]) -> list[str]:
    return [entry["kind"] for entry in letter["history"]]


def bury_again(operations_worker: OperationsWorker, taken: Delivered) -> None:
    """Dead-letter the message like a consumer, with its headers."""
    headers = {name: value for name, value in taken.properties.headers.items() if not name.startswith("x-")}
    fields = {"holdfast-queue": QUEUE, "holdfast-reason": "rejected", "holdfast-error": "still", "holdfast-attempt": 1}
    fields["holdfast-failed-at"] = "2026-11-02T10:00:00.000000Z"
    operations_worker.publish(topology.DEAD_LETTERS, taken.body, content_type=CONTENT_TYPE, headers=headers | fields)


def test_a_replay_is_published_only_to_its_original_queue_as_a_first_attempt(
    operations_worker: OperationsWorker,
) -> None:
    event = sample()
    with operations_worker.worker():
        operations_worker.bury(event)
        replay(operations_worker, operations_worker.letter())
        taken = operations_worker.take()
        letter = operations_worker.letter(status="replayed")
    assert taken.body == event.to_json().encode()
    assert taken.properties.content_type == CONTENT_TYPE
    # `x-delivery-count` belongs to this delivery.
    left = {name for name in taken.properties.headers if name.startswith(("x-", "holdfast-"))} - {"x-delivery-count"}
    assert left == {"holdfast-letter", "holdfast-replay"}
    assert taken.properties.headers["task"] == "holdfast.handle"
    assert operations_worker.waiting("other.events") == 0
    assert kinds(letter) == ["filed", "replay_requested", "replayed"]
    assert letter["history"][1]["by"] == "ann"
    assert letter["history"][2]["outcome"] == "published"


def test_a_replay_keeps_the_age_of_an_undecided_event(operations_worker: OperationsWorker) -> None:
    """It is retried once, and does not wait for another day."""
    with operations_worker.here():
        operations_worker.bury(sample(), **{UNDECIDED: 86_400, "holdfast-reason": "undecided"})
        replay(operations_worker, operations_worker.letter())
        taken = operations_worker.take()
    assert Incoming("", dict(taken.properties.headers)).undecided_seconds == 86_400
    assert "holdfast-attempt" not in taken.properties.headers


def test_a_replay_that_fails_returns_with_its_history_and_can_be_replayed_again(
    operations_worker: OperationsWorker,
) -> None:
    with operations_worker.here():
        operations_worker.bury(sample())
        for times in (1, 2):
            replay(operations_worker, operations_worker.letter(status="filed"))
            replay(operations_worker, operations_worker.letter())  # a second request during the replay has no effect
            bury_again(operations_worker, operations_worker.take())
            wait_until(lambda: kinds(operations_worker.letter()).count("returned") == times)  # noqa: B023 - called at once
        letter = operations_worker.letter()
    again = ["replay_requested", "replayed", "returned"]
    assert sorted(kinds(letter)) == sorted(["filed", *again, *again])
    assert (letter["status"], letter["reason"], letter["error"], letter["attempts"]) == (
        "filed",
        "rejected",
        "still",
        1,
    )
    assert operations_worker.waiting(QUEUE) == 0


def test_an_edited_event_is_replayed_and_the_original_is_stored(operations_worker: OperationsWorker) -> None:
    event = sample()
    repaired = event.to_document() | {"data": {"n": 2}}
    with operations_worker.here():
        operations_worker.bury(event)
        replay(operations_worker, operations_worker.letter(), repaired)
        taken = operations_worker.take()
        assert json.loads(taken.body) == repaired
        bury_again(operations_worker, taken)
        wait_until(lambda: "returned" in kinds(operations_worker.letter()))
        letter = operations_worker.letter(status="filed")
        assert letter["body"] == event.to_json().encode()
        assert "body_sha256" not in letter["history"][-1]  # the edited event is already stored
        replay(operations_worker, letter)
        assert operations_worker.take().body == event.to_json().encode()


def test_a_malformed_event_is_replayed_as_its_edited_event(operations_worker: OperationsWorker) -> None:
    repaired = sample()
    with operations_worker.here():
        operations_worker.reject(
            b'{"specversion": "1.0"}', content_type="application/json", headers={"shop": "7", "x-odd": 1}
        )
        letter = operations_worker.letter()
        replay(operations_worker, letter, repaired.to_document())
        taken = operations_worker.take()
        assert json.loads(taken.body) == repaired.to_document()
        assert (taken.properties.content_type, taken.properties.headers["shop"]) == (CONTENT_TYPE, "7")
        bury_again(operations_worker, taken)
        wait_until(lambda: "returned" in kinds(operations_worker.letter()))
        assert [letter["_id"] for letter in operations_worker.letters()] == [letter["_id"]]


def test_a_body_of_ten_megabytes_is_replayed_unchanged(
    operations_worker: OperationsWorker,
) -> None:
    with operations_worker.here():
        operations_worker.reject(BODY, content_type="application/octet-stream", content_encoding="gzip")
        replay(operations_worker, operations_worker.letter())
        taken = operations_worker.take()
        assert taken.body == BODY
        assert (taken.properties.content_type, taken.properties.content_encoding) == (
            "application/octet-stream",
            "gzip",
        )
        operations_worker.channel.basic_reject(taken.method.delivery_tag, requeue=False)
        wait_until(lambda: kinds(operations_worker.letter()) == ["filed", "replay_requested", "replayed", "returned"])


def test_a_message_beyond_the_delivery_limit_is_replayed_once_automatically(
    operations_worker: OperationsWorker,
) -> None:
    event = sample()
    with operations_worker.here():
        operations_worker.crash_on(event)
        letter = operations_worker.letter(reason="delivery_limit", status="replayed")
        assert letter["attempts"] > topology.DELIVERY_LIMIT
        assert letter["history"][1]["by"] == "automatic"
        operations_worker.exhaust()
        wait_until(lambda: "returned" in kinds(operations_worker.letter()))
        time.sleep(1)
        assert operations_worker.waiting(QUEUE) == 0
        letter = operations_worker.letter()
    assert kinds(letter) == ["filed", "replay_requested", "replayed", "returned"]
    assert letter["status"] == "filed"


def test_a_replay_without_a_consumers_queue_is_rejected_and_an_unroutable_one_returns(
    operations_worker: OperationsWorker,
) -> None:
    with operations_worker.here():
        operations_worker.bury(sample(), **{"holdfast-queue": "amq.somewhere"})
        with pytest.raises(Conflict):
            replay(operations_worker, operations_worker.letter())
        operations_worker.bury(sample(), **{"holdfast-queue": "gone.events"})
        replay(operations_worker, operations_worker.letter(queue="gone.events"))
        wait_until(lambda: "replayed" in kinds(operations_worker.letter(queue="gone.events")))
        letter = operations_worker.letter(queue="gone.events")
    assert (letter["status"], letter["history"][-1]["outcome"]) == ("filed", "no_such_queue")


def test_an_invalid_edited_event_is_rejected(operations_worker: OperationsWorker) -> None:
    with operations_worker.here():
        operations_worker.bury(sample())
        with pytest.raises(InvalidEventError):
            replay(operations_worker, operations_worker.letter(), {"specversion": "1.0"})
    assert operations_worker.letter()["status"] == "filed"


def test_a_replay_is_repeated_and_recorded_after_a_kill_between_publishing_and_recording(
    operations_worker: OperationsWorker,
) -> None:
    with operations_worker.worker(HOLDFAST_CRASH_POINT="operations.replayed", HOLDFAST_TEST_BUILD="1") as process:
        operations_worker.bury(sample())
        replay(operations_worker, operations_worker.letter())
        process.wait(60)
    assert operations_worker.letter()["status"] == "replaying"
    with operations_worker.worker():
        operations_worker.letter(status="replayed")
    first, second = operations_worker.take(), operations_worker.take()
    assert first.body == second.body
    assert first.properties.headers == second.properties.headers
    assert kinds(operations_worker.letter()) == ["filed", "replay_requested", "replayed"]


def test_a_bulk_replay_respects_its_filter_and_rate(operations_worker: OperationsWorker) -> None:
    with operations_worker.here():
        for _ in range(20):
            operations_worker.bury(sample())
        operations_worker.bury(sample(type="sample.other.v1"))
        wait_until(lambda: len(operations_worker.letters(status="filed")) == 21)
        criteria = Filter(queue=QUEUE, type="sample.fine.v1", error="RuntimeError")
        started = time.monotonic()
        job = usecases.start_job(operations_worker.database, new_id(), criteria, by="ann", rate=10)
        assert (job.status, job.total) == ("running", 20)
        wait_until(lambda: usecases.get_job(operations_worker.database, job.id).status == "done")
        seconds = time.monotonic() - started
        job = usecases.get_job(operations_worker.database, job.id)
    assert (job.replayed, job.failed, job.waiting) == (20, 0, 0)
    assert seconds > 1.0
    wait_until(lambda: operations_worker.waiting(QUEUE) == 20)  # the broker reports 0 if it takes long to count
    assert operations_worker.letter(status="filed")["event_type"] == "sample.other.v1"
    assert {letter["history"][1]["job_id"] for letter in operations_worker.letters(status="replayed")} == {job.id}
