"""A span for each SQL statement that runs inside a recorded one. Importing it registers it with SQLAlchemy.

A span contains the text of the statement, never its values. OpenTelemetry's own listener supports SQLAlchemy below 2.1,
and the one for psycopg2 would create a trace for every probe and every poll of an outbox.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event

from common.observability import tracing

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

_KEY = "holdfast_span"
_WORD = re.compile(r"\s*([A-Za-z]+)")


@event.listens_for(Engine, "before_cursor_execute")
def _before(connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    if not tracing.is_on():
        return
    word = _WORD.match(statement)
    operation, database = word[1].upper() if word else "SQL", connection.engine.url.database
    # Entered and left in two callbacks of one thread; nothing runs in between.
    connection.info[_KEY] = scope = tracing.child(
        f"{operation} {database}",
        "client",
        {
            "db.system.name": "postgresql",
            "db.namespace": database,
            "db.operation.name": operation,
            "db.query.text": statement.strip(),
        },
    )
    scope.__enter__()


@event.listens_for(Engine, "after_cursor_execute")
def _after(connection: Connection, *_rest: Any) -> None:
    if (scope := connection.info.pop(_KEY, None)) is not None:
        scope.__exit__(None, None, None)


@event.listens_for(Engine, "handle_error")
def _failed(happened: ExceptionContext) -> None:
    connection, error = happened.connection, happened.original_exception
    if connection is None or connection.invalidated or (scope := connection.info.pop(_KEY, None)) is None:
        return
    scope.__exit__(type(error), error, None)
