"""The collection of webhook endpoints and its queries. `migrations/` creates its indexes; only this module reads it.

An endpoint is one document: its owner's settings, its encrypted secrets, its health, and its turn: when a delivery is
due, and which worker has claimed it. Owners have a bounded number of slots, and a unique index assigns each slot once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from services.notifications.domain import CUSTOMER, OPERATOR, Health

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pymongo.database import Database

    Document = dict[str, Any]

COLLECTION = "endpoints"
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
MAX_PREVIOUS_SECRETS = 3
_NO_MAJORITY = WriteConcern(w=1)
_SUBSCRIBER_FIELDS = dict.fromkeys(("enabled", "disabled_at", "event_types", "role", "owner_id"), 1)
INDEXES = [
    IndexModel([("owner_id", ASCENDING), ("slot", ASCENDING)], name="slots", unique=True),
    IndexModel([("owner_id", ASCENDING), ("_id", DESCENDING)], name="by_owner"),
    IndexModel([("event_types", ASCENDING), ("role", ASCENDING)], name="subscribed_roles"),
    IndexModel([("event_types", ASCENDING), ("owner_id", ASCENDING)], name="subscribed_owners"),
    IndexModel([("enabled", ASCENDING), ("is_suspect", ASCENDING), ("next_due_at", ASCENDING)], name="turns"),
    IndexModel([("enabled", ASCENDING), ("next_due_at", ASCENDING)], name="waiting"),
    IndexModel([("is_unbound", ASCENDING)], name="unbound", partialFilterExpression={"is_unbound": True}),
    IndexModel(
        [("is_failing", ASCENDING), ("_id", DESCENDING)], name="failing", partialFilterExpression={"is_failing": True}
    ),
]


def insert(database: Database[Document], endpoint: Document, *, slots: int) -> bool:
    """Insert it into a free slot of its owner; False if there is none. A taken id raises DuplicateKeyError."""
    owner = {"owner_id": endpoint["owner_id"]}
    while True:
        taken = {found["slot"] for found in database[COLLECTION].find(owner, {"slot": 1})}
        free = next((slot for slot in range(slots) if slot not in taken), None)
        if free is None:
            return False
        try:
            database[COLLECTION].insert_one(endpoint | {"slot": free})
        except DuplicateKeyError:
            if get(database, endpoint["_id"]) is not None:
                raise
            continue  # another request has taken the slot: try again
        return True


def get(database: Database[Document], endpoint_id: str) -> Document | None:
    return database[COLLECTION].find_one({"_id": endpoint_id})


def page(
    database: Database[Document], *, owner_id: str | None, before: str | None, limit: int, is_failing: bool = False
) -> list[Document]:
    """Newest first; `owner_id` None is all owners. With `is_failing` only those whose last attempt failed."""
    query: Document = {"owner_id": owner_id} if owner_id else {}
    if is_failing:
        query["is_failing"] = True
    if before is not None:
        query["_id"] = {"$lt": before}
    return list(database[COLLECTION].find(query).sort("_id", DESCENDING).limit(limit))


def by_id(database: Database[Document], endpoint_ids: Sequence[str]) -> dict[str, Document]:
    """The existing endpoints with these ids."""
    return {found["_id"]: found for found in database[COLLECTION].find({"_id": {"$in": list(endpoint_ids)}})}


def ids_of_owner(database: Database[Document], owner_id: str) -> list[str]:
    """The ids of an owner's endpoints, at most the number of slots."""
    return [found["_id"] for found in database[COLLECTION].find({"owner_id": owner_id}, {"_id": 1})]


def change(
    database: Database[Document], endpoint_id: str, values: Mapping[str, Any], *, revision: int
) -> Document | None:
    """Set `values` if it was not changed since it was read; else None."""
    return database[COLLECTION].find_one_and_update(
        {"_id": endpoint_id, "revision": revision},
        {"$set": dict(values), "$inc": {"revision": 1}},
        return_document=ReturnDocument.AFTER,
    )


def delete(database: Database[Document], endpoint_id: str) -> None:
    database[COLLECTION].delete_one({"_id": endpoint_id})


def disable(database: Database[Document], endpoint_id: str, *, reason: str, now: datetime) -> bool:
    """Disable it; False if it was not enabled."""
    values = {"enabled": False, "disabled_reason": reason, "disabled_at": now}
    return bool(
        database[COLLECTION]
        .update_one({"_id": endpoint_id, "enabled": True}, {"$set": values, "$inc": {"revision": 1}})
        .modified_count
    )


def subscribers(
    database: Database[Document], event_types: Collection[str], *, customer_ids: Collection[str]
) -> list[Document]:
    """The subscribers of any of these event types: operators' endpoints, and those of these customers."""
    types = {"$in": list(event_types)}
    query: list[Document] = [{"event_types": types, "role": OPERATOR}]
    if customer_ids:
        query.append({"event_types": types, "owner_id": {"$in": list(customer_ids)}})
    return list(database[COLLECTION].find({"$or": query}, _SUBSCRIBER_FIELDS))


def others_of_owner(database: Database[Document], endpoint: Mapping[str, Any], event_type: str) -> list[str]:
    """The other enabled endpoints of its owner that subscribed to an event type."""
    query = {"event_types": event_type, "owner_id": endpoint["owner_id"], "enabled": True}
    return [each["_id"] for each in database[COLLECTION].find(query, {"_id": 1}) if each["_id"] != endpoint["_id"]]


def has_customers(database: Database[Document], event_types: Collection[str]) -> bool:
    """Whether any customer subscribed to one of these types."""
    query = {"event_types": {"$in": list(event_types)}, "role": CUSTOMER}
    return database[COLLECTION].find_one(query, {"_id": 1}) is not None


def wake(database: Database[Document], endpoint_ids: Collection[str], *, now: datetime) -> set[str]:
    """Mark these endpoints as due; returns those that exist and are enabled."""
    if not endpoint_ids:
        return set()
    query = {"_id": {"$in": list(endpoint_ids)}, "enabled": True}
    if database[COLLECTION].update_many(query, {"$min": {"next_due_at": now}}).matched_count == len(endpoint_ids):
        return set(endpoint_ids)
    return {found["_id"] for found in database[COLLECTION].find(query, {"_id": 1})}


def claim_turn(
    database: Database[Document], lease_id: str, *, is_suspect: bool, now: datetime, seconds: float
) -> Document | None:
    """Claim the turn of the longest-waiting endpoint for `seconds`; None if none is due.

    A worker that dies in a turn loses it when the lease in `next_due_at` expires. A claim does not wait for a majority,
    so that the turns of many endpoints follow quickly; one lost in a failover is repeated.
    """
    until = now + timedelta(seconds=seconds)
    return (
        database[COLLECTION]
        .with_options(write_concern=_NO_MAJORITY)
        .find_one_and_update(
            {"enabled": True, "is_suspect": is_suspect, "next_due_at": {"$lte": now}, "leased_until": {"$lte": now}},
            {"$set": {"leased_until": until, "lease_id": lease_id, "next_due_at": until}},
            sort=[("next_due_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
    )


def end_turn(
    database: Database[Document],
    endpoint: Document,
    *,
    next_due_at: datetime | None,
    observed: Mapping[str, Any] | None = None,
) -> None:
    """Release the turn and store the `observed` health (`health_values`).

    Deliveries that became due after the claim stay due: only this worker's own claim is replaced.
    """
    due = next_due_at or NEVER
    ours = {"$eq": ["$next_due_at", endpoint["next_due_at"]]}
    database[COLLECTION].update_one(
        {"_id": endpoint["_id"], "lease_id": endpoint["lease_id"]},
        [
            {
                "$set": {
                    "next_due_at": {"$cond": [ours, due, {"$min": ["$next_due_at", due]}]},
                    "leased_until": LONG_AGO,
                    **(observed or {}),
                }
            }
        ],
    )


def longest_due_at(database: Database[Document]) -> datetime | None:
    """The time at which the longest-waiting endpoint became or becomes due."""
    enabled = database[COLLECTION].find({"enabled": True}, {"next_due_at": 1}, hint="waiting")
    return next((found["next_due_at"] for found in enabled.sort("next_due_at", ASCENDING).limit(1)), None)


def health_of(endpoint: Mapping[str, Any]) -> Health:
    return Health(
        consecutive_failures=endpoint.get("consecutive_failures", 0),
        failing_since=endpoint.get("failing_since"),
        open_until=endpoint.get("open_until"),
        is_suspect=endpoint.get("is_suspect", False),
    )


def health_values(health: Health, *, now: datetime) -> Document:
    """The health fields of an endpoint after an attempt at `now`."""
    values: Document = {
        "consecutive_failures": health.consecutive_failures,
        "failing_since": health.failing_since,
        "open_until": health.open_until,
        "is_suspect": health.is_suspect,
        "is_failing": health.consecutive_failures > 0,
        "last_attempt_at": now,
    }
    if not health.consecutive_failures:
        values["last_success_at"] = now
    return values
