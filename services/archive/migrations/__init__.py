"""The archive's collection and indexes, and the positions of events that have none.

`python -m services.archive.migrations` creates them. The collection has no schema validation: this version must store
events of future versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.archive.backfill import assign_missing_positions
from services.archive.models import COLLECTION, INDEXES

if TYPE_CHECKING:
    from typing import Any

    from pymongo import IndexModel
    from pymongo.database import Database

BACKFILL_SECONDS = 60.0  # the archive worker does the rest

COLLECTIONS: dict[str, list[IndexModel]] = {COLLECTION: INDEXES}


def backfill(database: Database[dict[str, Any]]) -> int:
    """Fill in fields that documents of older versions lack; returns how many it changed."""
    return assign_missing_positions(database, seconds=BACKFILL_SECONDS)
