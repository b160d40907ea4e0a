"""The collection of dead letters and its queries. `migrations/` creates its indexes; only this module reads it.

A dead letter is one document: the message, its last error, and its history. Every change is one atomic update that
checks the current state, so concurrent workers and operators are safe, and changes are idempotent. Headers are stored
as JSON text, because publishers may use any names.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from common.errors import Unavailable
from common.messaging.events import new_id
from services.operations import bodies
from services.operations.domain import AUTOMATIC, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.collection import Collection
    from pymongo.database import Database

    from services.operations.domain import Death, Filter

    Document = dict[str, Any]

COLLECTION = "letters"
INLINE_BYTES = 256 * 1024  # every valid event; larger bodies are in `bodies`
MAX_HISTORY = 500
MAX_DEATHS = 100
MAX_TRIES = 100
FILED, RETURNED = "filed", "returned"
_FIELDS = ("reason", "error_class", "error", "traceback", "attempts", "failed_at")
_KNOWN = (
    *("queue", "event_id", "event_type", "subject", "order_id", "correlation_id", "trace_id"),
    *("content_type", "content_encoding"),
)

INDEXES = [
    IndexModel(
        [("event_id", ASCENDING), ("queue", ASCENDING)],
        name="once",
        unique=True,
        partialFilterExpression={"event_id": {"$type": "string"}},
    ),
    IndexModel([("status", ASCENDING), ("_id", DESCENDING)], name="by_status"),
    IndexModel([("queue", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="by_queue"),
    IndexModel([("event_type", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="by_type_and_status"),
    IndexModel([("error_class", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="by_class_and_status"),
    IndexModel([("error_name", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="by_error_and_status"),
    IndexModel([("status", ASCENDING), ("replay.requested_at", ASCENDING)], name="due"),
    IndexModel([("order_id", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="by_order_and_status"),
    IndexModel(
        [("status", ASCENDING), ("queue", ASCENDING), ("error_class", ASCENDING), ("last_filed_at", ASCENDING)],
        name="by_group",
        # Used only with a hint: a list by cursor must not use it and then sort.
        partialFilterExpression={"last_filed_at": {"$gte": ""}},
    ),
    IndexModel([("jobs", ASCENDING), ("status", ASCENDING)], name="by_job", sparse=True),
]


def file(database: Database[Document], death: Death, *, now: str) -> str:
    """Store it: `filed`, `returned` if its dead letter is known, `duplicate` if this arrival is already stored."""
    size = len(death.body)
    body = {"body": death.body} if size <= INLINE_BYTES else {"body_stored": bodies.put(database, death.body)}
    for tried in range(MAX_TRIES):
        # Nearly all dead letters are new: query only for returned ones and key conflicts.
        known = _known_letter(database, death) if tried or death.letter_id else None
        if known is not None:
            return _take_back(database, death, known, now)
        letter = _fields_of(death) | {name: getattr(death, name) for name in _KNOWN if getattr(death, name) is not None}
        letter |= body | {"_id": new_id(), "body_sha256": bodies.digest(death.body), "body_bytes": size}
        letter |= {"filed_at": now, "last_filed_at": now, "status": Status.FILED.value}
        letter |= {"history": [_arrival(death, FILED, now)], "deaths": [death.id]}
        if death.is_replayed_automatically:
            replay = automatic_replay(now)
            letter |= {"status": Status.REPLAYING.value, "replay": replay, "had_its_replay": True}
            letter["history"].append(requested(replay))
        try:
            letters(database).insert_one(letter)
        except DuplicateKeyError:
            time.sleep(0.01)  # another thread has just stored it; it is readable only after a majority has it
            continue
        return FILED
    raise Unavailable("another worker is storing the dead letter")


def get(database: Database[Document], letter_id: str) -> Document | None:
    return letters(database).find_one({"_id": letter_id})


def page(database: Database[Document], criteria: Filter, *, before: str | None, limit: int) -> list[Document]:
    """Newest first, without large fields."""
    query = matching(criteria)
    if query:
        # The indexes have the status before the id: the statuses are merged, none is sorted.
        query.setdefault("status", {"$in": list(Status)})
    if before is not None:
        query["_id"] = {"$lt": before}
    large = dict.fromkeys(("body", "traceback", "history", "deaths", "headers"), 0)
    return list(letters(database).find(query, large).sort("_id", DESCENDING).limit(limit))


def discard(database: Database[Document], letter_id: str, *, by: str, reason: str, now: str) -> Document | None:
    """The updated dead letter; None if there is none, or its replay is in flight."""
    entry = {"kind": "discarded", "at": now, "by": by, "reason": reason}
    return letters(database).find_one_and_update(
        {"_id": letter_id, "status": {"$in": [Status.FILED, Status.REPLAYED]}},
        {"$set": {"status": Status.DISCARDED.value}, "$push": {"history": {"$each": [entry], "$slice": -MAX_HISTORY}}},
        return_document=ReturnDocument.AFTER,
    )


def matching(criteria: Filter) -> Document:
    """The query of a filter."""
    query: Document = {}
    if criteria.queue is not None:
        query["queue"] = criteria.queue
    if criteria.type is not None:
        query["event_type"] = criteria.type
    if criteria.error is not None:
        query["error_class" if "." in criteria.error else "error_name"] = criteria.error
    if criteria.order_id is not None:
        query["order_id"] = criteria.order_id
    if criteria.status is not None:
        query["status"] = criteria.status.value
    return query


def letters(database: Database[Document]) -> Collection[Document]:
    return database[COLLECTION]


def automatic_replay(now: str) -> Document:
    return {"id": new_id(), "by": AUTOMATIC, "requested_at": now}


def requested(replay: Mapping[str, Any]) -> Document:
    """The history entry of a requested replay."""
    names = ("by", "job_id", "edited_sha256")
    fields = {name: replay[name] for name in names if replay.get(name)}
    return {"kind": "replay_requested", "at": replay["requested_at"], "replay_id": replay["id"]} | fields


def _known_letter(database: Database[Document], death: Death) -> str | None:
    """The dead letter of this message: by event and queue, or by the replay that returned."""
    if death.event_id is not None:
        known = letters(database).find_one(
            # The type condition of the index `once`, which is not used without it.
            {"event_id": {"$eq": death.event_id, "$type": "string"}, "queue": death.queue},
            {"_id": 1},
        )
        if known is not None:
            return str(known["_id"])
    if death.letter_id is not None:
        sent = bodies.digest(death.body)
        query = {"_id": death.letter_id, "queue": death.queue, "$or": [{"body_sha256": sent}, {"edits": sent}]}
        known = letters(database).find_one(query, {"_id": 1})
        return str(known["_id"]) if known else None
    return None


def _take_back(database: Database[Document], death: Death, letter_id: str, now: str) -> str:
    changed = letters(database).update_one(
        {"_id": letter_id, "deaths": {"$ne": death.id}}, [{"$set": _return(database, death, letter_id, now)}]
    )
    return RETURNED if changed.modified_count else "duplicate"


def _return(database: Database[Document], death: Death, letter_id: str, now: str) -> Document:
    """The changes when a known dead letter arrives again. Only a pending replay keeps it `replaying`."""
    to_come: Document = {
        "$and": [{"$eq": ["$status", Status.REPLAYING.value]}, {"$ne": ["$replay.id", death.replay_id or ""]}]
    }
    earned: Document = {"$and": [{"$not": [to_come]}, {"$ne": ["$had_its_replay", True]}]}
    if not death.is_replayed_automatically:
        earned = {"$literal": False}
    replay = automatic_replay(now)
    entries = [_arrival(death, RETURNED, now) | _other_body(database, death, letter_id)]
    values = {name: {"$literal": value} for name, value in _fields_of(death).items()}
    return values | {
        "last_filed_at": {"$literal": now},
        "status": {"$cond": [{"$or": [to_come, earned]}, Status.REPLAYING.value, Status.FILED.value]},
        "replay": {"$cond": [to_come, "$replay", {"$cond": [earned, {"$literal": replay}, "$$REMOVE"]}]},
        "had_its_replay": {"$or": [{"$eq": ["$had_its_replay", True]}, earned]},
        "deaths": {"$slice": [{"$concatArrays": ["$deaths", [death.id]]}, -MAX_DEATHS]},
        "history": {
            "$slice": [
                {
                    "$concatArrays": [
                        "$history",
                        {"$literal": entries},
                        {"$cond": [earned, {"$literal": [requested(replay)]}, []]},
                    ]
                },
                -MAX_HISTORY,
            ]
        },
    }


def _other_body(database: Database[Document], death: Death, letter_id: str) -> Document:
    """A known id with new bytes: they are stored, and referenced in the history."""
    sent = bodies.digest(death.body)
    known = {"_id": letter_id, "$or": [{"body_sha256": sent}, {"edits": sent}]}
    if letters(database).find_one(known, {"_id": 1}) is not None:
        return {}
    return {"body_sha256": bodies.put(database, death.body)}


def _fields_of(death: Death) -> Document:
    fields = {name: getattr(death, name) for name in _FIELDS}
    return fields | {"error_name": death.error_class.rpartition(".")[2], "headers": json.dumps(death.headers)}


def _arrival(death: Death, kind: str, now: str) -> Document:
    names = ("reason", "error_class", "attempts", "failed_at", "replay_id")
    fields = {name: value for name in names if (value := getattr(death, name)) is not None}
    return {"kind": kind, "at": now, **fields, "error": death.error[:1000]}
