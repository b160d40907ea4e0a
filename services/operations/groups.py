"""Dead letters by queue and error: what failed for one reason is decided at once.

However many there are, no letter is read: the index `by_group` has all that is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.operations.models import letters

if TYPE_CHECKING:
    from pymongo.database import Database

    from services.operations.domain import Status

    Document = dict[str, Any]


def largest(database: Database[Document], status: Status, limit: int) -> list[Document]:
    """Letters that failed in the same queue of the same error: {queue, error_class, count, last_filed_at}, most
    first.
    """
    # Nothing but what the index `by_group` has: no letter is read.
    grouped = letters(database).aggregate(
        [
            {"$match": {"status": status.value, "last_filed_at": {"$gte": ""}}},
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
