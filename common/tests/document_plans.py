"""How MongoDB runs what a database is asked: for tests that it uses an index, and how much it reads."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient
from pymongo.monitoring import CommandListener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database
    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

    Document = dict[str, Any]

_EXPLAINED = {"find", "aggregate", "count", "distinct", "update", "delete", "findAndModify"}
# What belongs to the session that a command runs in, and not to the command.
_OF_THE_SESSION = {"lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "writeConcern", "readConcern"}


@dataclass(frozen=True)
class Reading:
    """What one command read: its stages (`COLLSCAN`, `SORT` ...), index entries and documents."""

    command: Document
    stages: frozenset[str]
    keys: int
    documents: int


class _Explainer(CommandListener):
    """Explains each command on a client of its own just before it runs."""

    def __init__(self, url: str) -> None:
        self._client: MongoClient[Document] = MongoClient(url)
        self.readings: list[Reading] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name not in _EXPLAINED:
            return
        command = {name: value for name, value in event.command.items() if name not in _OF_THE_SESSION}
        if "updates" in command:
            command["updates"] = command["updates"][:1]  # no more can be explained at once
        database = self._client[event.database_name]
        explained = database.command({"explain": command, "verbosity": "executionStats"})
        nodes = list(_nodes(explained))
        self.readings.append(
            Reading(
                command=command,
                stages=frozenset(node["stage"] for node in nodes if isinstance(node.get("stage"), str)),
                keys=max(node.get("totalKeysExamined", 0) for node in nodes),
                documents=max(node.get("totalDocsExamined", 0) for node in nodes),
            )
        )

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing: it was explained before."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing: the caller sees it."""

    def close(self) -> None:
        self._client.close()


@contextmanager
def explained_database(url: str) -> Iterator[tuple[Database[Document], list[Reading]]]:
    """The database at `url`, and what every command on it reads, one after the other."""
    explainer = _Explainer(url)
    client: MongoClient[Document] = MongoClient(url, event_listeners=[explainer], tz_aware=True)
    try:
        yield client.get_default_database(), explainer.readings
    finally:
        client.close()
        explainer.close()


def _nodes(value: Any) -> Iterator[Document]:
    """Every object of an explanation, but for the plans that were rejected."""
    if isinstance(value, dict):
        yield value
        for name, child in value.items():
            if name != "rejectedPlans":
                yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)
