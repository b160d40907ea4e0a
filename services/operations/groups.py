"""Dead letters by queue and error: what failed for one reason is decided at once.

However many there are, no letter is read: the index `by_group` has all that is shown. Of a status at most
`MAX_COUNTED` are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.operations.domain import Status
from services.operations.models import letters

if TYPE_CHECKING:
    from pymongo.database import Database

    Document = dict[str, Any]

MAX_COUNTED = 100_000  # of one status: letters are kept for good, and whoever looks must not wait for them all


def counts(database: Database[Document]) -> list[Document]:
    """How many letters there are, up to `MAX_COUNTED` of each status: {queue, status, count}."""
    return [
        {"queue": queue, "status": status.value, "count": count}
        for status in Status
        for queue, count in _by_queue(database, status).items()
    ]


def waiting(database: Database[Document]) -> dict[str, int]:
    """How many letters of each queue wait for somebody to decide, up to `MAX_COUNTED` in all."""
    return _by_queue(database, Status.FILED)


def largest(database: Database[Document], status: Status, limit: int) -> list[Document]:
    """Letters that failed in the same queue of the same error: {queue, error_class, count, last_filed_at}, most
    first.
    """
    # Nothing but what the index `by_group` has: no letter is read.
    grouped = letters(database).aggregate(
        [
            *_of_status(status),
            {"$project": {"_id": 0, "queue": 1, "error_class": 1, "last_filed_at": 1}},
            {
                "$group": {
                    "_id": {"queue": "$queue", "error_class": "$error_class"},
                    "count": {"$sum": 1},
                    "last_filed_at": {"$max": "$last_filed_at"},
                }
            },
            {"$sort": {"count": -1, "_id": 1}},
            {"$limit": limit},
        ],
        hint="by_group",
    )
    return [row["_id"] | {"count": row["count"], "last_filed_at": row["last_filed_at"]} for row in grouped]


def _by_queue(database: Database[Document], status: Status) -> dict[str, int]:
    grouped = letters(database).aggregate(
        [
            *_of_status(status),
            {"$project": {"_id": 0, "queue": 1}},
            {"$group": {"_id": "$queue", "count": {"$sum": 1}}},
        ],
        hint="by_group",
    )
    return {str(row["_id"]): int(row["count"]) for row in grouped}


def _of_status(status: Status) -> list[Document]:
    """The stages that begin a count: what follows must ask for nothing but what the index `by_group` has."""
    return [{"$match": {"status": status.value, "last_filed_at": {"$gte": ""}}}, {"$limit": MAX_COUNTED}]
