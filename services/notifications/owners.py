"""The owners of orders, and events that arrived before their owner was known.

An order's events arrive in any order; only `order.placed` names its owner. Earlier events wait here. After storing an
event the worker reads the owner, and after storing an owner it reads waiting events: one of them finds the other, in
any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, IndexModel, UpdateOne

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from pymongo.collection import Collection as AnyCollection
    from pymongo.database import Database

    from common.messaging.events import Event

    Document = dict[str, Any]

COLLECTION, WAITING = "order_owners", "events_without_owner"
KEPT_SECONDS = 400 * 86_400
# An order placed before this context existed never gets an owner here: its events reach operators only.
WAITING_KEPT_SECONDS = 7 * 86_400
MAX_WAITING = 1000
INDEXES = [IndexModel([("noted_at", ASCENDING)], name="pruned", expireAfterSeconds=KEPT_SECONDS)]
WAITING_INDEXES = [
    IndexModel([("order_id", ASCENDING)], name="by_order"),
    IndexModel([("noted_at", ASCENDING)], name="pruned", expireAfterSeconds=WAITING_KEPT_SECONDS),
]


def note(database: Database[Document], customers: Mapping[str, str], *, now: datetime) -> None:
    """Store the customer of each order, unless it is known."""
    _insert_missing(
        database[COLLECTION],
        {order_id: {"customer_id": customer_id, "noted_at": now} for order_id, customer_id in customers.items()},
    )


def of_orders(database: Database[Document], order_ids: Collection[str]) -> dict[str, str]:
    """The customer of each order whose customer is known."""
    found = database[COLLECTION].find({"_id": {"$in": list(order_ids)}}, {"customer_id": 1})
    return {each["_id"]: str(each["customer_id"]) for each in found}


def put_aside(database: Database[Document], events: Sequence[Event], *, now: datetime) -> None:
    """Keep events until the owner of their order is known."""
    _insert_missing(
        database[WAITING],
        {event.id: {"order_id": event.orderid, "event": event.to_json(), "noted_at": now} for event in events},
    )


def waiting(database: Database[Document], order_ids: Collection[str]) -> list[Document]:
    """Events that wait for the owners of these orders, `MAX_WAITING` at most, as JSON in `event`."""
    return list(database[WAITING].find({"order_id": {"$in": list(order_ids)}}).limit(MAX_WAITING))


def forget(database: Database[Document], event_ids: Sequence[str]) -> None:
    database[WAITING].delete_many({"_id": {"$in": list(event_ids)}})


def _insert_missing(collection: AnyCollection[Document], documents: Mapping[str, Document]) -> None:
    writes = [UpdateOne({"_id": key}, {"$setOnInsert": values}, upsert=True) for key, values in documents.items()]
    collection.bulk_write(writes, ordered=False)
