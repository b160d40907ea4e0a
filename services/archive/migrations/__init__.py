"""The archive's collection and indexes, and the positions of events that have none.

`python -m services.archive.migrations` makes them.

No schema is laid on the collection: an event of tomorrow must be filed by today's archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.archive.backfill import assign_missing_positions
from services.archive.models import COLLECTION, INDEXES

if TYPE_CHECKING:
    from typing import Any

    from pymongo import IndexModel
    from pymongo.database import Database

BACKFILL_SECONDS = 60.0  # what is left then, the archive worker does

COLLECTIONS: dict[str, list[IndexModel]] = {COLLECTION: INDEXES}


def backfill(database: Database[dict[str, Any]]) -> int:
    """Fill in what documents of older versions lack; returns how many it changed."""
    return assign_missing_positions(database, seconds=BACKFILL_SECONDS)
