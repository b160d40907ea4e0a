"""The collection of events and its queries. `migrations/` creates its indexes; only this module and `services/live`
read it.

An entry is the envelope in plain fields, so that it can be searched, and the data as JSON text, which preserves any
content (keys with `$` or `.`, integers beyond 64 bits, half a surrogate pair). `at` is `time` in UTC, with
microseconds, as sortable text; MongoDB's own dates have only milliseconds. `position` numbers the events in the order
of their arrival (event_log.py).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from common.messaging.events import rfc3339
from services.archive.domain import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection
    from pymongo.database import Database

    from common.messaging.events import Event
    from services.archive.domain import Filter

    Document = dict[str, Any]

COLLECTION = "events"
_ENVELOPE = ("source", "type", "subject", "time", "sequence", "correlationid", "causationid", "orderid", "traceparent")
_IDENTITY = ("source", "type", "subject", "sequence")
_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]
_OLDEST_FIRST = [("at", ASCENDING), ("_id", ASCENDING)]
# Stored by a version without positions.
UNPLACED: dict[str, Any] = {"position": None}

INDEXES = [
    IndexModel([("orderid", ASCENDING), *_OLDEST_FIRST], name="timeline"),
    IndexModel(_NEWEST_FIRST, name="newest"),
    IndexModel([("subject", ASCENDING), *_NEWEST_FIRST], name="by_subject"),
    IndexModel([("type", ASCENDING), *_NEWEST_FIRST], name="by_type"),
    IndexModel([("source", ASCENDING), *_NEWEST_FIRST], name="by_source"),
    # Partial, because many events may have no position yet.
    IndexModel(
        [("position", ASCENDING)],
        name="by_position",
        unique=True,
        partialFilterExpression={"position": {"$exists": True}},
    ),
    IndexModel(
        [("customer_id", ASCENDING), ("position", ASCENDING)],
        name="by_customer",
        partialFilterExpression={"customer_id": {"$exists": True}},
    ),
    # Usually empty: it contains only events without a position.
    IndexModel([("received_at", ASCENDING), ("_id", ASCENDING)], name="unplaced", partialFilterExpression=UNPLACED),
]


def event_document(event: Event, *, customer_id: str | None, received_at: datetime) -> Document:
    """The stored document of an event, without its position."""
    document = {"_id": event.id} | _document(event) | {"received_at": rfc3339(received_at)}
    if customer_id is not None:
        document["customer_id"] = customer_id
    return document


def last_position(database: Database[Document], session: ClientSession | None = None) -> int:
    """The highest position that a majority has; 0 if there is none."""
    highest = events(database).find_one(
        {"position": {"$gt": 0}}, {"position": 1}, sort=[("position", DESCENDING)], session=session
    )
    return int(highest["position"]) if highest else 0


def has_unplaced(database: Database[Document]) -> bool:
    return events(database).find_one(UNPLACED, {"_id": 1}, hint="unplaced") is not None


def holds(database: Database[Document], event: Event) -> bool:
    """Whether the stored document with the event's id is this event.

    In CloudEvents the same source and id mean the same event, even if the bytes of a duplicate differ.
    """
    known = events(database).find_one({"_id": event.id}, dict.fromkeys(_IDENTITY, 1))
    return known == {"_id": event.id} | {name: getattr(event, name) for name in _IDENTITY}


def is_order_of(database: Database[Document], order_id: str, customer_id: str) -> bool:
    """Whether the order is known and belongs to this customer."""
    query = {"orderid": order_id, "customer_id": customer_id}
    return events(database).find_one(query, {"_id": 1}) is not None


def timeline(database: Database[Document], order_id: str, *, limit: int) -> list[Entry]:
    """The first `limit` events of an order, by time."""
    found = events(database).find({"orderid": order_id}).sort(_OLDEST_FIRST).limit(limit)
    return [_entry(document) for document in found]


def moment_of(database: Database[Document], event_id: str) -> str | None:
    """The position of an event in the list: its `at`."""
    known = events(database).find_one({"_id": event_id}, {"at": 1})
    return str(known["at"]) if known else None


def page(database: Database[Document], criteria: Filter, *, after: tuple[str, str] | None, limit: int) -> list[Entry]:
    """Newest first, after `after` = (at, id)."""
    found = events(database).find(_query(criteria, after)).sort(_NEWEST_FIRST).limit(limit)
    return [_entry(document) for document in found]


def _query(criteria: Filter, after: tuple[str, str] | None) -> Document:
    names = ("subject", "type", "source")
    query: Document = {name: value for name in names if (value := getattr(criteria, name)) is not None}
    bounds = {}
    if criteria.since is not None:
        bounds["$gte"] = criteria.since
    if after is not None:
        at, event_id = after
        bounds["$lte"] = at  # in addition to the $or, which alone would not bound the index scan
        query["$or"] = [{"at": {"$lt": at}}, {"at": at, "_id": {"$lt": event_id}}]
    if bounds:
        query["at"] = bounds
    return query


def events(database: Database[Document]) -> Collection[Document]:
    return database[COLLECTION]


def _document(event: Event) -> Document:
    document = {name: value for name in _ENVELOPE if (value := getattr(event, name)) is not None}
    document["at"] = rfc3339(datetime.fromisoformat(event.time).astimezone(UTC))
    document["data"] = json.dumps(event.data, separators=(",", ":"))
    return document


def _entry(document: Mapping[str, Any]) -> Entry:
    envelope: Document = {name: document.get(name) for name in _ENVELOPE}
    at = datetime.fromisoformat(document["at"])
    data = json.loads(document["data"])
    return Entry(id=document["_id"], at=at, received_at=document["received_at"], data=data, **envelope)
