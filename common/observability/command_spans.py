"""A span for each MongoDB command that runs inside a recorded one; it contains only the command's name and
collection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo.monitoring import CommandListener

from common.observability import tracing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

    from common.observability.tracing import Span


class CommandSpans(CommandListener):
    """For `MongoClient(event_listeners=[...])`: the driver calls it in the thread that runs the command."""

    def __init__(self) -> None:
        self._open: dict[int, AbstractContextManager[Span]] = {}

    def started(self, event: CommandStartedEvent) -> None:
        if not tracing.is_on():
            return
        collection = event.command.get(event.command_name)
        collection = collection if isinstance(collection, str) else None
        self._open[event.request_id] = scope = tracing.child(
            f"{event.command_name} {collection or event.database_name}",
            "client",
            {
                "db.system.name": "mongodb",
                "db.namespace": event.database_name,
                "db.collection.name": collection,
                "db.operation.name": event.command_name,
            },
        )
        scope.__enter__()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if (scope := self._open.pop(event.request_id, None)) is not None:
            scope.__exit__(None, None, None)

    def failed(self, event: CommandFailedEvent) -> None:
        if (scope := self._open.pop(event.request_id, None)) is not None:
            why = event.failure.get("codeName") or event.failure.get("errmsg")
            error = RuntimeError(f"{event.command_name}: {why}")
            scope.__exit__(type(error), error, None)
