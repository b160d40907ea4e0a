"""Requests and outcomes of replays, recorded so that a crash at any moment loses none.

A request sets a dead letter to `replaying`, with a `replay` that has its own id. A worker claims it for a while,
publishes it, and then records the outcome. If it is killed in between, its claim expires and another worker publishes
it again; the consumer's inbox drops the duplicate. The message contains the replay's id, so a dead letter that returns
before the outcome is recorded is recognised.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, ReturnDocument, UpdateOne

from common.messaging.events import CONTENT_TYPE, new_id, rfc3339
from services.operations import bodies
from services.operations.domain import PUBLISHED, Replay, Status
from services.operations.models import MAX_HISTORY, letters, requested

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.database import Database

    Document = dict[str, Any]

CLAIM_SECONDS = 10.0  # about as long as a batch may wait for its confirms; a second publisher is harmless
_ASKABLE = [Status.FILED, Status.REPLAYED, Status.DISCARDED]


def request(
    database: Database[Document], letter_id: str, *, by: str, edited_sha256: str | None, now: str
) -> Document | None:
    """Request the replay of one dead letter; None if there is none, or a replay is in flight."""
    replay: Document = {"id": new_id(), "by": by, "requested_at": now}
    change: Document = {}
    if edited_sha256 is not None:
        replay["edited_sha256"] = edited_sha256
        change = {"$addToSet": {"edits": edited_sha256}}
    return letters(database).find_one_and_update(
        {"_id": letter_id, "status": {"$in": _ASKABLE}},
        change | _replaying(replay),
        return_document=ReturnDocument.AFTER,
    )


def request_for_job(database: Database[Document], found: Sequence[str], *, job_id: str, by: str, now: str) -> None:
    """Request the replay of those dead letters that still wait; each once per job."""
    query = {"status": Status.FILED.value, "jobs": {"$ne": job_id}}
    changes = []
    for letter_id in found:
        change = _replaying({"id": new_id(), "by": by, "requested_at": now, "job_id": job_id})
        changes.append(UpdateOne({"_id": letter_id, **query}, change | {"$addToSet": {"jobs": job_id}}))
    letters(database).bulk_write(changes, ordered=False)


def claim(database: Database[Document], holder: str, *, limit: int) -> list[Replay]:
    """Claim up to `limit` unclaimed replays for `holder`, oldest first, for CLAIM_SECONDS."""
    moment = datetime.now(UTC)
    now, until = rfc3339(moment), rfc3339(moment + timedelta(seconds=CLAIM_SECONDS))
    free = {
        "status": Status.REPLAYING.value,
        "$or": [
            {"replay.claimed_until": {"$exists": False}},
            {"replay.claimed_until": {"$lt": now}},
            {"replay.holder": holder},  # left over from a failed try
        ],
    }
    due = letters(database).find(free, {"_id": 1}).sort("replay.requested_at", ASCENDING).limit(limit)
    found = [letter["_id"] for letter in due]
    if not found:
        return []
    mine = {"$set": {"replay.holder": holder, "replay.claimed_until": until}}
    letters(database).update_many({"_id": {"$in": found}, **free}, mine)
    large = dict.fromkeys(("body", "traceback", "history", "deaths"), 0)
    query = {"_id": {"$in": found}, "status": Status.REPLAYING.value, "replay.holder": holder}
    taken = letters(database).find(query, large).sort("replay.requested_at", ASCENDING)
    return [_replay(letter) for letter in taken]


def body(database: Database[Document], replay: Replay) -> bytes:
    """The message to publish: the original, byte for byte, or the edited event."""
    if replay.stored is not None:
        return bodies.get(database, replay.stored)
    letter = letters(database).find_one({"_id": replay.letter_id}, {"body": 1})
    return bytes(letter["body"]) if letter else b""


def settle(database: Database[Document], outcomes: Mapping[str, tuple[Replay, str]], *, now: str) -> None:
    """Record the outcomes of replays: {id: (replay, outcome)}. Idempotent."""
    changes: list[UpdateOne] = []
    for replay, outcome in outcomes.values():
        entry = {"kind": "replayed", "at": now, "replay_id": replay.id, "outcome": outcome}
        record = {"$push": {"history": {"$each": [entry], "$slice": -MAX_HISTORY}}}
        status = Status.REPLAYED if outcome == PUBLISHED else Status.FILED
        change: Document = record | {"$set": {"status": status.value}}
        if outcome != PUBLISHED and replay.job_id:
            change["$addToSet"] = {"failed_jobs": replay.job_id}
        pending = {"_id": replay.letter_id, "status": Status.REPLAYING.value, "replay.id": replay.id}
        recorded_before = {"$elemMatch": {"kind": "replayed", "replay_id": replay.id}}
        unrecorded = {"_id": replay.letter_id, "history": {"$not": recorded_before}}
        changes += [UpdateOne(pending, change), UpdateOne(unrecorded, record)]
    if changes:
        letters(database).bulk_write(changes, ordered=True)


def _replaying(replay: Document) -> Document:
    entry = {"$each": [requested(replay)], "$slice": -MAX_HISTORY}
    return {"$set": {"status": Status.REPLAYING.value, "replay": replay}, "$push": {"history": entry}}


def _replay(letter: Mapping[str, Any]) -> Replay:
    edited = letter["replay"].get("edited_sha256")
    return Replay(
        id=letter["replay"]["id"],
        letter_id=letter["_id"],
        job_id=letter["replay"].get("job_id"),
        queue=letter["queue"],
        bytes=0 if edited else letter["body_bytes"],
        stored=edited or letter.get("body_stored"),
        headers=json.loads(letter["headers"]),
        content_type=CONTENT_TYPE if edited else letter.get("content_type"),
        content_encoding="utf-8" if edited else letter.get("content_encoding"),
    )
