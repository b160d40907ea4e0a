"""A context's collections and indexes in MongoDB: `python -m services.<context>.migrations` creates missing ones.

Idempotent, also for concurrent processes. An index that has changed under its old name is not rebuilt: give a new
definition a new name. A context passes in its package `migrations` with the table COLLECTIONS. If that package has a
function `backfill`, it is called after the indexes exist: it must be bounded in time and idempotent.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pymongo.errors import OperationFailure

from common.errors import Unavailable, classify
from common.observability import logs
from common.settings import DocumentSettings, ProcessSettings
from common.storage.mongodb import connect, ping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo import IndexModel
    from pymongo.database import Database

    Collections = Mapping[str, Sequence[IndexModel]]

SERVER_WAIT_SECONDS = 60.0
INDEX_SECONDS = 60.0  # an index over a large collection takes long
RETRY_SECONDS = 0.5
NAMESPACE_EXISTS = 48  # MongoDB's error code
_log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, DocumentSettings):
    """The settings of the job."""


class Migrations(Protocol):
    """A context's package `migrations`; it may also have a function `backfill(database)`."""

    @property
    def COLLECTIONS(self) -> Collections: ...  # noqa: N802 - a constant of the package


def migrate(context: str, migrations: Migrations, settings: Settings) -> None:
    """Bring the database of `context` up to date; what the job does."""
    logs.configure_logging(f"migrate-{context}", settings.log_level)
    database = connect(settings.mongodb_url, timeout_seconds=INDEX_SECONDS, name=f"migrate-{context}", pool_size=1)
    names = upgrade(migrations, database, wait_seconds=SERVER_WAIT_SECONDS)
    _log.info("migrated", context=context, indexes=names)


def upgrade(migrations: Migrations, database: Database[dict[str, Any]], *, wait_seconds: float) -> list[str]:
    """Create what is missing; returns the names of the indexes. Raises pymongo's errors if the server does not
    start.
    """
    _wait_for(database, wait_seconds)
    names = []
    for collection, indexes in migrations.COLLECTIONS.items():
        _create(database, collection)
        if indexes:
            names += database[collection].create_indexes(list(indexes))
    if backfill := getattr(migrations, "backfill", None):
        _log.info("back-filled documents of older versions", database=database.name, documents=backfill(database))
    return names


def _create(database: Database[dict[str, Any]], collection: str) -> None:
    """Without pymongo's own check for existence: another job may create it after that check."""
    try:
        database.create_collection(collection, check_exists=False)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise


def missing(migrations: Migrations, database: Database[dict[str, Any]]) -> list[str]:
    """What `upgrade` would create. Raises pymongo's errors."""
    there = set(database.list_collection_names())
    found = []
    for collection, indexes in migrations.COLLECTIONS.items():
        if collection not in there:
            found.append(collection)
            continue
        known = database[collection].index_information()
        names = [str(index.document["name"]) for index in indexes]
        found += [f"{collection}.{name}" for name in names if name not in known]
    return found


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
