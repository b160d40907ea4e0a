"""Which event types are subscribed to, and which of them the queue is bound to.

Guarantee: a subscription's `since` is set after its type was bound, and only if the subscription is the one that was
read before that. So every event made from then on comes in. A type is taken off the queue only after nobody has wanted
it for `UNBIND_AFTER_SECONDS`; who subscribes at that very moment has no `since` yet, and gets it with the next round.
Whoever calls `bound` and `unbound` must be the only one who changes bindings (`common/messaging/queue_bindings.py`).
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
# It says whose order an order is, so it is received whether anybody subscribed or not.
ALWAYS_BOUND = ("order.placed.v1",)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round has to do: bind, then tell these endpoints; unbind."""

    to_bind: Sequence[str]
    to_unbind: Sequence[str]
    endpoints: Sequence[Document]


def is_round_due(database: Documents) -> bool:
    """Whether an endpoint waits for its subscription to begin."""
    return database[models.COLLECTION].find_one({"is_unbound": True}, {"_id": 1}) is not None


def plan(database: Documents) -> Round:
    """What is wanted now. Notes what is no longer wanted, and since when."""
    endpoints = list(database[models.COLLECTION].find({"is_unbound": True}).limit(MAX_AT_ONCE))
    wanted = set(database[models.COLLECTION].distinct("event_types"))
    now = utc_now()
    unwanted = {"_id": {"$nin": sorted(wanted)}, "unwanted_since": None}
    database[COLLECTION].update_many(unwanted, {"$set": {"unwanted_since": now}})
    before = now - timedelta(seconds=UNBIND_AFTER_SECONDS)
    gone = database[COLLECTION].find({"_id": {"$nin": sorted(wanted)}, "unwanted_since": {"$lt": before}})
    to_unbind = [found["_id"] for found in gone if found["_id"] not in ALWAYS_BOUND]
    return Round(sorted(wanted), sorted(to_unbind), endpoints)


def note_binding(database: Documents, event_type: str) -> None:
    """Before it is bound: what may be bound is known, so that it can be taken away."""
    database[COLLECTION].update_one({"_id": event_type}, {"$set": {"unwanted_since": None}}, upsert=True)


def note_unbound(database: Documents, event_type: str) -> None:
    """After it was unbound."""
    database[COLLECTION].delete_one({"_id": event_type})


def begin(database: Documents, endpoints: Sequence[Document]) -> None:
    """Set `since` of these endpoints' new subscriptions, whose types are bound; not where they changed since."""
    now = utc_now()
    for endpoint in endpoints:
        told = [each | {"since": each["since"] or now} for each in endpoint["subscriptions"]]
        database[models.COLLECTION].update_one(
            {"_id": endpoint["_id"], "revision": endpoint["revision"]},
            {"$set": {"subscriptions": told, "is_unbound": False}},
        )
