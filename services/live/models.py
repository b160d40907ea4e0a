"""The archive's events, read only: by position, by order, by customer. Raises pymongo's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING, AsyncMongoClient
from pymongo.read_concern import ReadConcern

from services.live.domain import Owner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    Document = dict[str, Any]

COLLECTION = "events"
PAGE = 500
_BY_POSITION = [("position", ASCENDING)]
_WAIT_MS = 500
_CHANGES: list[dict[str, Any]] = [
    {"$match": {"operationType": {"$in": ["insert", "update"]}}},
    {"$project": {"_id": 1}},
]


class Archive:
    """The collection, through one client per process; every wait is bounded."""

    def __init__(self, url: str, *, timeout_seconds: float, pool_size: int) -> None:
        milliseconds = int(timeout_seconds * 1000)
        self._client: AsyncMongoClient[Document] = AsyncMongoClient(
            url,
            appname="service-live",
            maxPoolSize=pool_size,
            timeoutMS=milliseconds,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
        )
        database = self._client.get_default_database()
        self._events = database.get_collection(COLLECTION, read_concern=ReadConcern("majority"))

    async def close(self) -> None:
        await self._client.close()

    async def last_position(self) -> int:
        found = await self._events.find_one({"position": {"$gt": 0}}, {"position": 1}, sort=[("position", DESCENDING)])
        return int(found["position"]) if found else 0

    async def after(self, position: int) -> list[Document]:
        """The next events of all subjects."""
        found = self._events.find({"position": {"$gt": position}}).sort(_BY_POSITION).limit(PAGE)
        return await found.to_list()

    async def of_orders(self, order_ids: Collection[str] | None, after: int, up_to: int) -> list[Document]:
        """The next events of these orders (None: of all) up to a position, `PAGE` at most."""
        order: Any = {"$exists": True} if order_ids is None else {"$in": list(order_ids)}
        query = {"orderid": order, "position": {"$gt": after, "$lte": up_to}}
        return await self._events.find(query).sort(_BY_POSITION).limit(PAGE).to_list()

    async def before(self, orders: dict[str, int]) -> list[Document]:
        """The events of each order archived before a position, by position."""
        if not orders:
            return []
        query = {"$or": [{"orderid": order, "position": {"$lt": position}} for order, position in orders.items()]}
        return await self._events.find(query).sort(_BY_POSITION).to_list()

    async def owners(self, order_ids: Collection[str]) -> dict[str, Owner]:
        """The customers of those orders whose `order.placed` is archived."""
        query = {"orderid": {"$in": list(order_ids)}, "customer_id": {"$exists": True}, "position": {"$gt": 0}}
        return {document["orderid"]: _owner(document) async for document in self._events.find(query, _OWNER_FIELDS)}

    async def orders_of(self, customer_id: str) -> dict[str, Owner]:
        """A customer's orders."""
        query = {"customer_id": customer_id, "position": {"$gt": 0}}
        found = self._events.find(query, _OWNER_FIELDS)
        return {document["orderid"]: _owner(document) async for document in found if "orderid" in document}

    async def is_order(self, order_id: str, customer_id: str | None) -> bool:
        """Whether the order is known and belongs to this customer (None: to any)."""
        query = {"orderid": order_id} | ({} if customer_id is None else {"customer_id": customer_id})
        return await self._events.find_one(query, {"_id": 1}) is not None

    async def changes(self) -> AsyncGenerator[bool]:
        """True for each change from now on, without its content, and once at first; False for a while without one."""
        async with await self._events.watch(_CHANGES, max_await_time_ms=_WAIT_MS) as stream:
            yield True
            while stream.alive:
                yield await stream.try_next() is not None


_OWNER_FIELDS = {"orderid": 1, "customer_id": 1, "position": 1}


def _owner(document: Document) -> Owner:
    return Owner(document["customer_id"], document["position"])
