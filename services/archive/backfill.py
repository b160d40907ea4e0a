"""Gives positions to archived events that an older version stored without one.

Guarantee: the same as for the event log. A portion and its positions become visible together, in one transaction, so
concurrent back-fills and appending workers keep the order. Events get positions in the order of their arrival. To be
removed one release later, with the index `unplaced`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from services.archive import models

if TYPE_CHECKING:
    from pymongo.client_session import ClientSession
    from pymongo.database import Database

    Documents = Database[dict[str, Any]]

PORTION = 500
_PAUSE_SECONDS = 0.02
_MET_ANOTHER = (112, 11000, 251)  # WriteConflict, DuplicateKey, NoSuchTransaction (aborted by a conflict)


def assign_missing_positions(database: Documents, *, seconds: float) -> int:
    """Give positions to events that lack one, for about `seconds`; returns how many. Raises pymongo's errors."""
    deadline = time.monotonic() + seconds
    count = 0
    while models.has_unplaced(database) and time.monotonic() < deadline:
        count += _assign_portion(database)
    return count


def _assign_portion(database: Documents) -> int:
    reads, writes = ReadConcern("snapshot"), WriteConcern(w="majority", j=True)
    with database.client.start_session() as session:
        try:
            # Not `with_transaction`: it retries for two minutes, but not on a duplicate key.
            with session.start_transaction(read_concern=reads, write_concern=writes):
                return _assign(database, session)
        except (BulkWriteError, OperationFailure) as error:
            if not (error.has_error_label("TransientTransactionError") or _codes(error) & {*_MET_ANOTHER}):
                raise
            time.sleep(_PAUSE_SECONDS)
            return 0


def _assign(database: Documents, session: ClientSession) -> int:
    unplaced = models.events(database).find(models.UNPLACED, {"_id": 1}, session=session)
    ids = [found["_id"] for found in unplaced.sort([("received_at", ASCENDING), ("_id", ASCENDING)]).limit(PORTION)]
    first = models.last_position(database, session) + 1
    changes = [
        UpdateOne({"_id": event_id}, {"$set": {"position": position}}) for position, event_id in enumerate(ids, first)
    ]
    if changes:
        models.events(database).bulk_write(changes, session=session)
    return len(changes)


def _codes(error: BulkWriteError | OperationFailure) -> set[int]:
    written = (error.details or {}).get("writeErrors", [])
    return {error.code or 0, *(failure["code"] for failure in written)}
