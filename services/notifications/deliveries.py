"""The collection of deliveries and its queries: one for each endpoint and event, with any outcome.

`attempts` counts those of the current schedule, which a resend restarts; `history` contains the last ones of all.
Delivered and dismissed ones are pruned by age (`expires_at`); failed ones stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import BulkWriteError

from services.notifications.domain import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pymongo.database import Database

    Document = dict[str, Any]

COLLECTION = "deliveries"
MAX_HISTORY = 20
MAX_ROWS = 1000  # in one command, which is bounded in time
_DUPLICATE_KEY = 11000
INDEXES = [
    IndexModel([("endpoint_id", ASCENDING), ("event_id", ASCENDING)], name="once", unique=True),
    IndexModel([("endpoint_id", ASCENDING), ("status", ASCENDING), ("due_at", ASCENDING)], name="due"),
    IndexModel([("endpoint_id", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="by_status"),
    IndexModel([("endpoint_id", ASCENDING), ("order_id", ASCENDING), ("_id", DESCENDING)], name="by_order"),
    IndexModel([("endpoint_id", ASCENDING), ("_id", DESCENDING)], name="newest"),
    IndexModel([("order_id", ASCENDING), ("_id", DESCENDING)], name="of_order"),
    IndexModel([("expires_at", ASCENDING)], name="pruned", expireAfterSeconds=0),
]


def insert(database: Database[Document], rows: Sequence[Document]) -> int:
    """Insert the missing ones; returns how many were new."""
    return sum(_insert(database, rows[start : start + MAX_ROWS]) for start in range(0, len(rows), MAX_ROWS))


def _insert(database: Database[Document], rows: Sequence[Document]) -> int:
    try:
        return len(database[COLLECTION].insert_many(rows, ordered=False).inserted_ids)
    except BulkWriteError as error:
        if any(each["code"] != _DUPLICATE_KEY for each in error.details["writeErrors"]):
            raise
        return int(error.details["nInserted"])


def get(database: Database[Document], delivery_id: str) -> Document | None:
    return database[COLLECTION].find_one({"_id": delivery_id})


def page(
    database: Database[Document], endpoint_id: str, filters: Mapping[str, str], *, before: str | None, limit: int
) -> list[Document]:
    """Newest first; `filters` are fields and their values."""
    query: Document = {"endpoint_id": endpoint_id, **filters}
    if before is not None:
        query["_id"] = {"$lt": before}
    found = database[COLLECTION].find(query).limit(limit)
    return list(
        found if "event_id" in filters else found.sort("_id", DESCENDING)
    )  # there is one per event and endpoint


def page_of_order(
    database: Database[Document],
    order_id: str,
    *,
    endpoint_ids: Sequence[str] | None,
    before: str | None,
    limit: int,
) -> list[Document]:
    """Deliveries of an order's events, newest first; `endpoint_ids` None is to all endpoints."""
    query: Document = {"order_id": order_id}
    if endpoint_ids is not None:
        query["endpoint_id"] = {"$in": list(endpoint_ids)}
    if before is not None:
        query["_id"] = {"$lt": before}
    return list(database[COLLECTION].find(query).sort("_id", DESCENDING).limit(limit))


def due(database: Database[Document], endpoint_id: str, *, now: datetime, limit: int) -> list[Document]:
    """Due deliveries, the longest overdue first."""
    query = {"endpoint_id": endpoint_id, "status": Status.PENDING, "due_at": {"$lte": now}}
    return list(database[COLLECTION].find(query).sort("due_at", ASCENDING).limit(limit))


def next_due_at(database: Database[Document], endpoint_id: str) -> datetime | None:
    query = {"endpoint_id": endpoint_id, "status": Status.PENDING}
    found = database[COLLECTION].find_one(query, {"due_at": 1}, sort=[("due_at", ASCENDING)])
    return found["due_at"] if found else None


def record(
    database: Database[Document], delivery: Document, values: Mapping[str, Any], entry: Document
) -> Document | None:
    """Record an attempt and its effects, unless another worker has recorded one first."""
    known = {"_id": delivery["_id"], "status": Status.PENDING, "attempts": delivery["attempts"]}
    return database[COLLECTION].find_one_and_update(
        known,
        {
            "$set": dict(values),
            "$inc": {"attempts": 1, "attempts_total": 1},
            "$push": {"history": {"$each": [entry], "$slice": -MAX_HISTORY}},
        },
        return_document=ReturnDocument.AFTER,
    )


def fail_pending(database: Database[Document], endpoint_id: str, *, reason: str) -> int:
    """Mark all waiting deliveries of this endpoint as failed; returns how many."""
    pending = {"endpoint_id": endpoint_id, "status": Status.PENDING}
    values = {"status": Status.FAILED, "reason": reason}
    return database[COLLECTION].update_many(pending, {"$set": values}).modified_count


def resend(database: Database[Document], query: Mapping[str, Any], *, now: datetime) -> int:
    """Restart the schedule of matching deliveries; returns how many."""
    values = {"status": Status.PENDING, "attempts": 0, "due_at": now, "reason": None}
    return database[COLLECTION].update_many(dict(query), {"$set": values, "$unset": {"expires_at": ""}}).modified_count


def dismiss(database: Database[Document], delivery_id: str, *, by: str, now: datetime, expires_at: datetime) -> bool:
    values = {"status": Status.DISMISSED, "dismissed_by": by, "dismissed_at": now, "expires_at": expires_at}
    query = {"_id": delivery_id, "status": Status.FAILED}
    return bool(database[COLLECTION].update_one(query, {"$set": values}).modified_count)


def delete_of(database: Database[Document], endpoint_ids: Sequence[str]) -> None:
    database[COLLECTION].delete_many({"endpoint_id": {"$in": list(endpoint_ids)}})
