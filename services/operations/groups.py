"""Dead letters by queue and error: failures with one cause are decided together.

The index `by_group` covers the query, so no document is read. At most `MAX_COUNTED` per status are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.operations.domain import Status
from services.operations.models import letters

if TYPE_CHECKING:
    from pymongo.database import Database

    Document = dict[str, Any]

MAX_COUNTED = 100_000  # per status: dead letters are kept for ever, and counting all of them would delay the page


def counts(database: Database[Document]) -> list[Document]:
    """The number of dead letters, up to `MAX_COUNTED` of each status: {queue, status, count}."""
    return [
        {"queue": queue, "status": status.value, "count": count}
        for status in Status
        for queue, count in _by_queue(database, status).items()
    ]


def waiting(database: Database[Document]) -> dict[str, int]:
    """The number of dead letters of each queue that wait for a decision, up to `MAX_COUNTED` in total."""
    return _by_queue(database, Status.FILED)


def largest(database: Database[Document], status: Status, limit: int) -> list[Document]:
    """Dead letters with the same queue and error: {queue, error_class, count, last_filed_at}, largest first."""
    # Only fields of the index `by_group`: no document is read.
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
    """The first stages of a count: later stages must use only fields of the index `by_group`."""
    return [{"$match": {"status": status.value, "last_filed_at": {"$gte": ""}}}, {"$limit": MAX_COUNTED}]
