"""The archive's events, read-only, and the bridge's own position. Raises pymongo's errors.

The position is in the bridge's own database: every event up to it is in Kafka. A back-fill is a stored request, which
the bridge executes at its next poll.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

if TYPE_CHECKING:
    from pymongo.database import Database

    Document = dict[str, Any]

PAGE = 500
_KAFKA = "kafka"


class Archive:
    """The archive's events by position."""

    def __init__(self, database: Database[Document]) -> None:
        self._events = database.get_collection("events", read_concern=ReadConcern("majority"))

    def after(self, position: int) -> list[Document]:
        found = self._events.find({"position": {"$gt": position}}).sort([("position", ASCENDING)]).limit(PAGE)
        return list(found)

    def position_of(self, source: str, subject: str, sequence: int) -> int | None:
        """The position of an event; None if it is not archived. (The index is by `subject`.)"""
        query = {"subject": subject, "source": source, "sequence": sequence, "position": {"$gt": 0}}
        found = self._events.find_one(query, {"position": 1})
        return int(found["position"]) if found else None


class Positions:
    """The bridge's own store."""

    def __init__(self, database: Database[Document]) -> None:
        self._positions = database.get_collection(
            "positions", read_concern=ReadConcern("majority"), write_concern=WriteConcern(w="majority", j=True)
        )

    def load(self) -> int:
        found = self._positions.find_one({"_id": _KAFKA})
        return int(found.get("position", 0)) if found else 0

    def save(self, position: int) -> None:
        self._positions.update_one({"_id": _KAFKA}, {"$set": {"position": position}}, upsert=True)

    def request_backfill(self, after: int) -> None:
        """Request everything after a position again."""
        self._positions.update_one({"_id": _KAFKA}, {"$set": {"backfill_after": after}}, upsert=True)

    def take_backfill(self) -> int | None:
        """Take the position of a requested back-fill; it becomes the bridge's own."""
        requested = self._positions.find_one({"_id": _KAFKA, "backfill_after": {"$exists": True}})
        if requested is None:
            return None
        after = int(requested["backfill_after"])
        change = {"$set": {"position": after}, "$unset": {"backfill_after": ""}}
        # One atomic statement: both changes or neither.
        self._positions.update_one({"_id": _KAFKA, "backfill_after": after}, change)
        return after
