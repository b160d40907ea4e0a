"""MongoDB: a client with bounded waits, and writes that a majority has journaled.

`timeoutMS` bounds a whole operation, including server selection and retries
(https://www.mongodb.com/docs/languages/python/pymongo-driver/current/connect/connection-options/csot/).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from common.observability.command_spans import CommandSpans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

    from common.resilience.circuit_breaker import Breaker
    from common.settings import DocumentSettings

Document = dict[str, Any]


def connect(url: str, *, timeout_seconds: float, name: str, pool_size: int) -> Database[Document]:
    """The database that `url` names. Connects when first used; raises pymongo's errors then."""
    client: MongoClient[Document] = MongoClient(
        url,
        appname=name,
        maxPoolSize=pool_size,
        timeoutMS=int(timeout_seconds * 1000),
        serverSelectionTimeoutMS=int(timeout_seconds * 1000),
        connectTimeoutMS=int(timeout_seconds * 1000),
        retryWrites=True,
        tz_aware=True,
        event_listeners=[CommandSpans()],
    )
    return client.get_default_database().with_options(
        write_concern=WriteConcern(w="majority", j=True), read_concern=ReadConcern("majority")
    )


def connect_by(settings: DocumentSettings, *, name: str, pool_size: int) -> Database[Document]:
    """The database of a process, by its settings."""
    return connect(
        settings.mongodb_url, timeout_seconds=settings.mongodb_timeout_seconds, name=name, pool_size=pool_size
    )


@dataclass(frozen=True, slots=True)
class Store:
    """A database behind a circuit breaker, for a service (a worker pauses instead)."""

    database: Database[Document]
    breaker: Breaker

    @contextmanager
    def use(self) -> Iterator[Database[Document]]:
        """The database; raises `CircuitOpenError` at once while the breaker is open."""
        with self.breaker.guard():
            yield self.database


def ping(database: Database[Document]) -> None:
    """For readiness: returns if the database answers, else raises its error."""
    database.command("ping")
