"""The transactional outbox: events are rows, written in the transaction of the state change that they report.

The row is the proof that an event is not published yet; the relay deletes it once the broker has confirmed it. So the
table stays small, and nothing depends on the order in which positions become visible.
Pattern: https://microservices.io/patterns/data/transactional-outbox.html
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from common.messaging.relay_wakeup import wake_relay_after
from common.storage.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from common.messaging.events import Event

# The table is a busy queue: every row is short-lived, so vacuum triggers by count, not by share of the table.
SCHEMA_V1 = """
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    type text NOT NULL,
    correlation_id text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000,
        autovacuum_vacuum_cost_delay = 0)
"""

# Unroutable events are marked as set aside, so that they block no others.
SCHEMA_V2 = "ALTER TABLE outbox ADD COLUMN IF NOT EXISTS set_aside_at timestamptz"
INDEXES_V2 = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_waiting ON outbox (position) WHERE set_aside_at IS NULL",
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS outbox_aside ON outbox (type, position) WHERE set_aside_at IS NOT NULL",
)

# Lag: the age of the oldest event that is not set aside.
LAG_SECONDS = """
    coalesce(extract(epoch FROM clock_timestamp() -
        (SELECT created_at FROM outbox WHERE set_aside_at IS NULL ORDER BY position LIMIT 1)), 0)
"""
# Input of load shedding. It counts every row, up to a limit: those set aside use space as well.
_COUNTED = "(SELECT count(*) FROM (SELECT FROM outbox ORDER BY position LIMIT 1000001) AS counted)"
BACKLOG = f"'outbox_seconds', {LAG_SECONDS}, 'outbox_rows', {_COUNTED}"
COLUMNS = "event_id, type, correlation_id, body"
_INSERT = statement(
    "INSERT INTO outbox ({columns}) SELECT * FROM unnest("
    "CAST(:event_ids AS uuid[]), CAST(:types AS text[]), CAST(:correlation_ids AS text[]), CAST(:bodies AS text[]))",
    columns=COLUMNS,
)


_HELD = "holdfast_outbox_held"


def add(connection: Connection, *events: Event) -> None:
    """Write `events`, in this order, in the caller's transaction. Its commit wakes the relay."""
    rows = [_values(connection, event) for event in events]
    held = connection.info.get(_HELD)
    if held is None:
        _insert(connection, rows)
    else:
        held += rows


def row(connection: Connection, event: Event) -> dict[str, Any]:
    """The values of COLUMNS, for a statement on `connection` that writes both state and event. Its commit wakes the
    relay.
    """
    if held := connection.info.get(_HELD):  # they come first
        _insert(connection, held)
        held.clear()
    return _values(connection, event)


@contextmanager
def in_one_statement(connection: Connection) -> Iterator[None]:
    """Write the events added within the block by one statement at its end; none if the block raises."""
    held: list[dict[str, Any]] = []
    connection.info[_HELD] = held
    try:
        yield
    finally:
        del connection.info[_HELD]
    _insert(connection, held)


def _insert(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    connection.execute(
        _INSERT,
        {
            "event_ids": [values["event_id"] for values in rows],
            "types": [values["type"] for values in rows],
            "correlation_ids": [values["correlation_id"] for values in rows],
            "bodies": [values["body"] for values in rows],
        },
    )


def _values(connection: Connection, event: Event) -> dict[str, Any]:
    wake_relay_after(connection)
    return {
        "event_id": event.id,
        "type": event.type,
        "correlation_id": event.correlationid,
        "body": event.to_json(),
    }
