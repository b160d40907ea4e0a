"""The owners of orders, and events that arrived before their owner was known.

An order's events arrive in any order; only `order.placed` names its owner. Earlier events wait here. After storing an
event the worker reads the owner, and after storing an owner it reads waiting events: one of them finds the other, in
any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel

if TYPE_CHECKING:
    from datetime import datetime

    from pymongo.database import Database

    Document = dict[str, Any]

COLLECTION, WAITING = "order_owners", "events_without_owner"
KEPT_SECONDS = 400 * 86_400
# An order placed before this context existed never gets an owner here: its events reach operators only.
WAITING_KEPT_SECONDS = 7 * 86_400
INDEXES = [IndexModel([("noted_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS)]
WAITING_INDEXES = [
    IndexModel([("order_id", ASCENDING)], name="by_order"),
    IndexModel([("noted_at", ASCENDING)], name="pruned", expireAfterSeconds=WAITING_KEPT_SECONDS),
]


def note(database: Database[Document], order_id: str, customer_id: str, *, now: datetime) -> None:
    values = {"customer_id": customer_id, "noted_at": now}
    database[COLLECTION].update_one({"_id": order_id}, {"$setOnInsert": values}, upsert=True)


def owner_of(database: Database[Document], order_id: str) -> str | None:
    found = database[COLLECTION].find_one({"_id": order_id}, {"customer_id": 1})
    return str(found["customer_id"]) if found else None


def put_aside(database: Database[Document], event_id: str, order_id: str, document: str, *, now: datetime) -> None:
    """Keep an event, as JSON, until the owner of its order is known."""
    values = {"order_id": order_id, "event": document, "noted_at": now}
    database[WAITING].update_one({"_id": event_id}, {"$setOnInsert": values}, upsert=True)


def waiting(database: Database[Document], order_id: str) -> list[tuple[str, str]]:
    """The events that wait for the owner of an order: their ids, and their JSON."""
    return [(found["_id"], found["event"]) for found in database[WAITING].find({"order_id": order_id}).limit(1000)]


def forget(database: Database[Document], event_id: str) -> None:
    database[WAITING].delete_one({"_id": event_id})
