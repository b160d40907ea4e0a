"""The routes on a real MongoDB, as operators and others see them.

Also tests `rendering.py`, `document_replies.py`, `jobs.py`, `bodies.py` and `system_api.py`.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import Conflict
from common.messaging.events import new_id
from common.tests.sample_service import answer, bearer
from common.tests.tcp_proxy import Link
from common.web import document_replies as replies
from common.web.idempotency import Reply, RequestKey
from services.operations import jobs, replays, usecases
from services.operations.domain import PUBLISHED
from services.operations.tests.dead_letters import QUEUE, dead, file, happening

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from flask.testing import FlaskClient
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.integration
OPERATOR = bearer(role="operator", sub="ann")
LETTERS = "/api/v1/dead-letters"


def execute_replays(store: Store) -> list[str]:
    """Execute replays like the worker; returns the replayed dead letters."""
    claimed = usecases.claim_replays(store, "a-worker", limit=100)
    usecases.settle_replays(store, {replay.id: (replay, PUBLISHED) for replay in claimed})
    return [replay.letter_id for replay in claimed]


def test_an_operator_reads_a_dead_letter(client: FlaskClient, store: Store) -> None:
    event = happening()
    letter_id = file(store, dead(event))
    shown = answer(client.get(f"{LETTERS}/{letter_id}", headers=OPERATOR))
    assert shown["event"] == event.to_document()
    assert shown["body"]["content"] == event.to_json()
    assert (shown["body"]["encoding"], shown["body"]["truncated"]) == ("text", False)
    assert shown["traceback"] == "Traceback ..."
    assert shown["headers"]["holdfast-reason"] == "attempts_exhausted"
    summary = {
        "id": letter_id,
        "status": "filed",
        "queue": QUEUE,
        "reason": "attempts_exhausted",
        "error_class": "builtins.RuntimeError",
        "error": "a bug",
        "attempts": 4,
        "event_id": event.id,
        "event_type": "payment.captured.v1",
        "subject": "o-1",
        "order_id": "o-1",
        "correlation_id": "request-1",
        "trace_id": "a" * 32,
    }
    assert {name: shown[name] for name in summary} == summary
    [listed] = answer(client.get(LETTERS, headers=OPERATOR))["data"]
    assert listed.items() <= shown.items()


def test_binary_bodies_are_shown(client: FlaskClient, store: Store) -> None:
    letter_id = file(store, dead(b"\xff\x00", reason=None))
    shown = answer(client.get(f"{LETTERS}/{letter_id}", headers=OPERATOR))
    assert (shown["event"], shown["event_id"], shown["body"]["encoding"]) == (None, None, "base64")
    assert shown["body"]["content"] == "/wA="
    letter_id = file(store, dead(b"x" * 300_000))
    shown = answer(client.get(f"{LETTERS}/{letter_id}", headers=OPERATOR))
    assert (shown["body"]["truncated"], shown["body_bytes"]) == (True, 300_000)


def test_the_list_is_filtered_and_paginated(client: FlaskClient, store: Store) -> None:
    ids = [file(store) for _ in range(3)]
    other = file(store, dead(happening(type="a.b.v1"), queue="inventory.events", error_class="x.y.OddError"))
    usecases.discard_letter(store, other, by="ann", reason="known")
    for query in ("queue=inventory.events", "type=a.b.v1", "error=OddError", "error=x.y.OddError", "status=discarded"):
        assert [letter["id"] for letter in answer(client.get(f"{LETTERS}?{query}", headers=OPERATOR))["data"]] == [
            other
        ]
    page = answer(client.get(f"{LETTERS}?limit=2&status=filed", headers=OPERATOR))
    assert ([letter["id"] for letter in page["data"]], page["has_more"]) == ([ids[2], ids[1]], True)
    rest = answer(client.get(f"{LETTERS}?status=filed&starting_after={ids[1]}", headers=OPERATOR))
    assert ([letter["id"] for letter in rest["data"]], rest["has_more"]) == ([ids[0]], False)


def test_only_operators_have_access(client: FlaskClient, store: Store) -> None:
    letter_id = file(store)
    for path in (LETTERS, f"{LETTERS}/{letter_id}", f"{LETTERS}/replays/{letter_id}", "/api/v1/system"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer()).status_code == 403
    for path in (f"{LETTERS}/{letter_id}/replay", f"{LETTERS}/{letter_id}/discard", f"{LETTERS}/replay"):
        assert client.post(path, json={"reason": "x"}).status_code == 401
        assert client.post(path, json={"reason": "x"}, headers=bearer()).status_code == 403
    assert usecases.get_letter(store, letter_id).document["status"] == "filed"


def test_a_replay_is_recorded_and_its_outcome_is_reported(client: FlaskClient, store: Store) -> None:
    letter_id = file(store)
    for _ in range(2):  # a second request during the replay has no effect
        reply = client.post(f"{LETTERS}/{letter_id}/replay", headers=OPERATOR)
        assert (reply.status_code, answer(reply)["status"]) == (202, "replaying")
    assert execute_replays(store) == [letter_id]
    shown = answer(client.get(f"{LETTERS}/{letter_id}", headers=OPERATOR))
    assert shown["status"] == "replayed"
    assert [(entry["kind"], entry.get("by"), entry.get("outcome")) for entry in shown["history"][1:]] == [
        ("replay_requested", "ann", None),
        ("replayed", None, "published"),
    ]


def test_an_edited_event_is_sent_instead_of_the_original(client: FlaskClient, store: Store) -> None:
    event = happening()
    letter_id = file(store, dead(event))
    repaired = event.to_document() | {"data": {"n": 2}}
    reply = client.post(f"{LETTERS}/{letter_id}/replay", json={"event": repaired}, headers=OPERATOR)
    assert (reply.status_code, answer(reply)["event"]) == (202, event.to_document())
    other = repaired | {"data": {"n": 3}}
    reply = client.post(f"{LETTERS}/{letter_id}/replay", json={"event": other}, headers=OPERATOR)
    assert (reply.status_code, answer(reply)["code"]) == (409, "letter_replaying")
    [replay] = usecases.claim_replays(store, "a-worker", limit=10)
    assert replays.body(store, replay) != event.to_json().encode()


def test_a_dead_letter_is_discarded_and_can_still_be_replayed(client: FlaskClient, store: Store) -> None:
    letter_id = file(store)
    discard, again = f"{LETTERS}/{letter_id}/discard", f"{LETTERS}/{letter_id}/replay"
    for _ in range(2):
        reply = client.post(discard, json={"reason": "a test"}, headers=OPERATOR)
        assert (reply.status_code, answer(reply)["status"]) == (200, "discarded")
    entry = answer(reply)["history"][-1]
    assert (entry["kind"], entry["by"], entry["reason"]) == ("discarded", "ann", "a test")
    assert len(answer(reply)["history"]) == 2
    assert client.post(again, headers=OPERATOR).status_code == 202
    reply = client.post(discard, json={"reason": "a test"}, headers=OPERATOR)
    assert (reply.status_code, answer(reply)["code"]) == (409, "letter_replaying")


def test_a_bulk_replay_reports_its_progress(client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CLAIM_SECONDS", 600.0)
    ids = {file(store) for _ in range(3)}
    file(store, dead(queue="inventory.events"))
    headers = OPERATOR | {"Idempotency-Key": "k-1"}
    reply = client.post(f"{LETTERS}/replay", json={"queue": QUEUE, "rate": 100}, headers=headers)
    job = answer(reply)
    assert (reply.status_code, job["status"], job["total"], job["filter"]) == (202, "running", 3, {"queue": QUEUE})
    again = client.post(f"{LETTERS}/replay", json={"queue": QUEUE, "rate": 100}, headers=headers)
    assert (answer(again)["id"], again.headers["Idempotent-Replayed"]) == (job["id"], "true")
    changed = client.post(f"{LETTERS}/replay", json={"rate": 100}, headers=headers)
    assert (changed.status_code, answer(changed)["code"]) == (422, "idempotency_key_reused")
    running = usecases.running_job(store, "a-worker")
    assert running is not None
    assert usecases.running_job(store, "another") is None
    assert usecases.advance_job(store, running, 2) == 2
    assert len(execute_replays(store)) == 2
    shown = answer(client.get(reply.headers["Location"], headers=OPERATOR))
    assert (shown["status"], shown["replayed"], shown["taken"]) == ("running", 2, 2)
    assert usecases.advance_job(store, running, 10) == 1
    file(store)  # stored after the job was requested
    assert usecases.advance_job(store, running, 10) == 0
    execute_replays(store)
    shown = answer(client.get(reply.headers["Location"], headers=OPERATOR))
    assert (shown["status"], shown["replayed"], shown["waiting"], shown["failed"]) == ("done", 3, 0, 0)
    assert {letter["_id"] for letter in store["letters"].find({"status": "replayed"})} == ids


def test_concurrent_bulk_replays_with_one_key_create_one_job(client: FlaskClient, store: Store) -> None:
    file(store)
    headers = OPERATOR | {"Idempotency-Key": "at-once"}
    barrier = Barrier(8, timeout=60)

    def ask(_: int) -> Any:
        own = client.application.test_client()
        barrier.wait()
        return own.post(f"{LETTERS}/replay", json={}, headers=headers)

    with ThreadPoolExecutor(8) as executor:
        replies = list(executor.map(ask, range(8)))
    assert {reply.status_code for reply in replies} <= {202, 409}
    assert {answer(reply)["code"] for reply in replies if reply.status_code == 409} <= {"idempotency_key_in_flight"}
    assert len({answer(reply)["id"] for reply in replies if reply.status_code == 202}) == 1
    assert store["jobs"].count_documents({}) == 1


def test_the_claim_of_a_dead_request_is_taken_over(store: Store) -> None:
    key = RequestKey("scope", "key", "fingerprint")
    first = replies.claim(store, key)
    with pytest.raises(Conflict) as caught:
        replies.claim(store, key)
    assert caught.value.code == "idempotency_key_in_flight"
    store["replies"].update_one({}, {"$set": {"claimed_until": datetime.now(UTC) - timedelta(seconds=1)}})
    second = replies.claim(store, key)
    assert second.resource_id == first.resource_id
    replies.store(store, key, first, Reply(202, {"by": "the first"}))
    replies.store(store, key, second, Reply(202, {"by": "the second"}))
    kept = replies.claim(store, key).reply
    assert kept is not None
    assert kept.body == {"by": "the second"}


def test_a_rejected_request_does_not_consume_its_key(client: FlaskClient, store: Store) -> None:
    headers = OPERATOR | {"Idempotency-Key": "refused"}
    path = f"{LETTERS}/{new_id()}/replay"
    assert [client.post(path, headers=headers).status_code for _ in range(2)] == [404, 404]
    assert store["replies"].count_documents({}) == 0


@pytest.mark.parametrize("letter_id", ["nonsense", "$where", "x" * 300, new_id(), new_id().upper()])
def test_an_unknown_dead_letter_is_not_found(client: FlaskClient, letter_id: str) -> None:
    assert client.get(f"{LETTERS}/{letter_id}", headers=OPERATOR).status_code == 404
    assert client.post(f"{LETTERS}/{letter_id}/replay", headers=OPERATOR).status_code == 404
    assert client.post(f"{LETTERS}/{letter_id}/discard", json={"reason": "x"}, headers=OPERATOR).status_code == 404
    assert client.get(f"{LETTERS}/replays/{letter_id}", headers=OPERATOR).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("replay", None, 400),
        ("replay", {"rate": 0}, 422),
        ("replay", {"rate": "fast"}, 422),
        ("replay", {"rate": 1001}, 422),
        ("replay", {"colour": "red"}, 422),
        ("replay", {"queue": {"$ne": "x"}}, 422),
        ("replay", [], 422),
        ("LETTER/replay", {"event": "text"}, 422),
        ("LETTER/replay", {"event": {"specversion": "1.0"}}, 422),
        ("LETTER/replay", {"event": None}, 422),
        ("LETTER/discard", {}, 422),
        ("LETTER/discard", {"reason": ""}, 422),
        ("LETTER/discard", {"reason": "x" * 501}, 422),
        ("LETTER/discard", {"reason": 1}, 422),
    ],
)
def test_an_invalid_body_is_rejected(client: FlaskClient, store: Store, path: str, body: Any, status: int) -> None:
    letter_id = file(store)
    reply = client.post(f"{LETTERS}/{path.replace('LETTER', letter_id)}", json=body, headers=OPERATOR)
    assert reply.status_code == status
    assert usecases.get_letter(store, letter_id).document["status"] == "filed"


@pytest.mark.parametrize(
    "query", ["limit=0", "status=lost", "queue=", f"starting_after={new_id()}", "error=%00", "a=b"]
)
def test_an_invalid_query_is_rejected(client: FlaskClient, query: str) -> None:
    assert client.get(f"{LETTERS}?{query}", headers=OPERATOR).status_code in (400, 422)


def test_a_dead_letter_without_a_consumers_queue_is_not_replayed(client: FlaskClient, store: Store) -> None:
    letter_id = file(store, dead(queue="amq.rabbitmq.trace"))
    reply = client.post(f"{LETTERS}/{letter_id}/replay", headers=OPERATOR)
    assert (reply.status_code, answer(reply)["code"]) == (409, "letter_not_replayable")


@pytest.mark.parametrize("outage", ["cut", "freeze"])
def test_it_returns_503_soon_while_mongodb_is_down(
    make_app: Callable[..., Flask], store: Store, document_store: str, outage: str
) -> None:
    letter_id = file(store)
    with Link(document_store) as link:
        client = make_app(link.url, mongodb_timeout_seconds=1).test_client()
        deadline = time.monotonic() + 60
        while client.get(LETTERS, headers=OPERATOR).status_code != 200:  # its time-out is short
            assert time.monotonic() < deadline
            time.sleep(0.1)
        getattr(link, outage)()
        started = time.monotonic()
        for path in (LETTERS, f"{LETTERS}/{letter_id}"):
            reply = client.get(path, headers=OPERATOR)
            assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
        system = client.get("/api/v1/system", headers=OPERATOR)
        assert (answer(system)["dead_letters"], answer(system)["unanswered"]) == (None, ["mongodb"])
        assert time.monotonic() - started < 60  # the driver's own time-out is 30 s, three times
