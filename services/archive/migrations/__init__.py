"""The archive's collection and indexes; `python -m services.archive.migrations` makes them.

No schema is laid on the collection: an event of tomorrow must be filed by today's archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.archive.models import COLLECTION, INDEXES

if TYPE_CHECKING:
    from pymongo import IndexModel

COLLECTIONS: dict[str, list[IndexModel]] = {COLLECTION: INDEXES}
