"""The subscribed event types, and the bindings of the queue.

Guarantee: a subscription's `since` is set after its type was bound, and only if the subscription has not changed since
it was read. So every event created from then on is received. A type is unbound only after `UNBIND_AFTER_SECONDS`
without a subscription; a concurrent subscription has no `since` yet, and gets it in the next round. The caller of
`bound` and `unbound` must be the only one that changes bindings (`common/messaging/queue_bindings.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from common.messaging.events import utc_now
from services.notifications import models

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymongo.database import Database

    Documents = Database[dict[str, Any]]
    Document = dict[str, Any]

COLLECTION = "bindings"
UNBIND_AFTER_SECONDS = 60.0
MAX_AT_ONCE = 1000
# It names the owner of an order, so it is always received, also without a subscription.
ALWAYS_BOUND = ("order.placed.v1",)


@dataclass(frozen=True, slots=True)
class Round:
    """The work of one round: types to bind, endpoints to update afterwards, types to unbind."""

    to_bind: Sequence[str]
    to_unbind: Sequence[str]
    endpoints: Sequence[Document]


def is_round_due(database: Documents) -> bool:
    """Whether the subscription of an endpoint has not begun yet."""
    return database[models.COLLECTION].find_one({"is_unbound": True}, {"_id": 1}) is not None


def plan(database: Documents) -> Round:
    """The subscribed types. Records types without a subscription, and since when."""
    endpoints = list(database[models.COLLECTION].find({"is_unbound": True}).limit(MAX_AT_ONCE))
    subscribed = set(database[models.COLLECTION].distinct("event_types"))
    now = utc_now()
    unwanted = {"_id": {"$nin": sorted(subscribed)}, "unwanted_since": None}
    database[COLLECTION].update_many(unwanted, {"$set": {"unwanted_since": now}})
    before = now - timedelta(seconds=UNBIND_AFTER_SECONDS)
    gone = database[COLLECTION].find({"_id": {"$nin": sorted(subscribed)}, "unwanted_since": {"$lt": before}})
    to_unbind = [found["_id"] for found in gone if found["_id"] not in ALWAYS_BOUND]
    return Round(sorted(subscribed), sorted(to_unbind), endpoints)


def note_binding(database: Documents, event_type: str) -> None:
    """Call it before binding: a recorded type can be unbound later."""
    database[COLLECTION].update_one({"_id": event_type}, {"$set": {"unwanted_since": None}}, upsert=True)


def note_unbound(database: Documents, event_type: str) -> None:
    """Call it after unbinding."""
    database[COLLECTION].delete_one({"_id": event_type})


def begin(database: Documents, endpoints: Sequence[Document]) -> None:
    """Set `since` of these endpoints' new subscriptions to bound types, unless they have changed since."""
    now = utc_now()
    for endpoint in endpoints:
        subscriptions = [each | {"since": each["since"] or now} for each in endpoint["subscriptions"]]
        database[models.COLLECTION].update_one(
            {"_id": endpoint["_id"], "revision": endpoint["revision"]},
            {"$set": {"subscriptions": subscriptions, "is_unbound": False}},
        )
