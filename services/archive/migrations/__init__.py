"""The archive's collection and indexes, made or brought up to date: `python -m services.archive.migrations`.

Safe to repeat, also by several processes at once. An index that has changed under its old name is not rebuilt: give a
new definition a new name. No schema is laid on the collection: an event of tomorrow must be filed by today's archive.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pymongo.errors import CollectionInvalid

from common.errors import Unavailable, classify
from common.observability import logs
from common.storage.mongodb import ping
from services.archive.models import COLLECTION, INDEXES

if TYPE_CHECKING:
    from pymongo.database import Database

RETRY_SECONDS = 0.5
_log = logs.logger(__name__)


def upgrade(database: Database[dict[str, Any]], *, wait_seconds: float) -> list[str]:
    """Make what is missing; answers the names of the indexes. Raises pymongo's errors if the server does not come."""
    _wait_for(database, wait_seconds)
    with suppress(CollectionInvalid):  # it is there
        database.create_collection(COLLECTION)
    return database[COLLECTION].create_indexes(INDEXES)


def _wait_for(database: Database[dict[str, Any]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ping(database)
        except Exception as error:
            if classify(error) is not Unavailable or time.monotonic() + RETRY_SECONDS > deadline:
                raise
            _log.info("waiting for MongoDB", error=str(error)[:200])
        time.sleep(RETRY_SECONDS)
