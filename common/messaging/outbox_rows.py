"""The relay's side of an outbox table: reads, deletes, sets aside and restores rows. Idempotent.

The column `set_aside_at` marks a row as set aside, so that every relay sees the same state. Every statement uses an
index, so its cost does not grow with the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from common.messaging import outbox
from common.storage.postgresql import autocommit
from common.storage.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Engine

COUNTED_ROWS = 100_000
COUNTED_SET_ASIDE = 10_000
RESTORED_ROWS = 5_000
SAMPLED_TYPES = 100

_COLUMNS = """position, event_id::text AS event_id, type, correlation_id, body,
       extract(epoch FROM clock_timestamp() - created_at) AS age_seconds"""
_FETCH = statement(
    "SELECT {columns} FROM outbox WHERE set_aside_at IS NULL ORDER BY position LIMIT :limit", columns=_COLUMNS
)
_DELETE = text("DELETE FROM outbox WHERE position = ANY(:positions)")
_SET_ASIDE = text("""
    UPDATE outbox SET set_aside_at = clock_timestamp() WHERE position = ANY(:positions) AND set_aside_at IS NULL
""")
# The oldest row of each type that is set aside, by skipping through the index: DISTINCT would read all rows.
_OLDEST_SET_ASIDE = """
    WITH RECURSIVE oldest AS (
        (SELECT type, position FROM outbox WHERE set_aside_at IS NOT NULL ORDER BY type, position LIMIT 1)
        UNION ALL
        SELECT following.type, following.position FROM oldest, LATERAL (
            SELECT type, position FROM outbox WHERE set_aside_at IS NOT NULL AND type > oldest.type
            ORDER BY type, position LIMIT 1
        ) AS following
    ), positions AS (SELECT position FROM oldest LIMIT {sampled_types})
"""
_SAMPLE = statement(
    """
    {oldest_set_aside}
    SELECT {columns} FROM outbox
    WHERE position = ANY (ARRAY(SELECT position FROM positions))
      AND position <= coalesce(
          (SELECT position FROM outbox WHERE set_aside_at IS NULL ORDER BY position LIMIT 1), position
      )
    ORDER BY position
    """,
    oldest_set_aside=_OLDEST_SET_ASIDE,
    sampled_types=SAMPLED_TYPES,
    columns=_COLUMNS,
)
_RESTORE = statement(
    """
    UPDATE outbox SET set_aside_at = NULL WHERE position = ANY (ARRAY(
        SELECT position FROM outbox WHERE set_aside_at IS NOT NULL AND type = :type
        ORDER BY position LIMIT {restored_rows}
    ))
    """,
    restored_rows=RESTORED_ROWS,
)
_MEASURE = statement(
    """
    {oldest_set_aside}
    SELECT
        (SELECT count(*) FROM (
            SELECT FROM outbox WHERE set_aside_at IS NULL ORDER BY position LIMIT {counted_rows}
        ) AS waiting) AS rows,
        {lag_seconds} AS seconds,
        (SELECT count(*) FROM (
            SELECT FROM outbox WHERE set_aside_at IS NOT NULL ORDER BY type, position LIMIT {counted_set_aside}
        ) AS set_aside) AS set_aside_rows,
        coalesce(extract(epoch FROM clock_timestamp() - (
            SELECT min(created_at) FROM outbox WHERE position = ANY (ARRAY(SELECT position FROM positions))
        )), 0) AS set_aside_seconds
    """,
    oldest_set_aside=_OLDEST_SET_ASIDE,
    sampled_types=SAMPLED_TYPES,
    counted_rows=COUNTED_ROWS,
    lag_seconds=outbox.LAG_SECONDS,
    counted_set_aside=COUNTED_SET_ASIDE,
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of waiting rows and the age of the oldest; the same for rows set aside. The counts are bounded."""

    rows: int = 0
    seconds: float = 0.0
    set_aside_rows: int = 0
    set_aside_seconds: float = 0.0


class OutboxRows:
    """The rows of one outbox. Raises as the database does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def fetch(self, limit: int) -> Sequence[Any]:
        """The oldest rows that are not set aside, in order."""
        with autocommit(self._engine) as connection:
            return connection.execute(_FETCH, {"limit": limit}).all()

    def sample_set_aside(self) -> Sequence[Any]:
        """The oldest row of each type that is set aside, except a row that would overtake an older waiting one."""
        with autocommit(self._engine) as connection:
            return connection.execute(_SAMPLE).all()

    def delete(self, positions: Sequence[int]) -> None:
        self._change(_DELETE, positions)

    def set_aside(self, positions: Sequence[int]) -> None:
        self._change(_SET_ASIDE, positions)

    def restore(self, types: Collection[str], should_continue: Callable[[], bool]) -> int:
        """Restore the rows of these types in portions, oldest first; returns their number."""
        restored = 0
        for event_type in sorted(types):
            portion = RESTORED_ROWS
            while portion == RESTORED_ROWS and should_continue():
                with autocommit(self._engine) as connection:
                    portion = connection.execute(_RESTORE, {"type": event_type}).rowcount
                restored += portion
        return restored

    def measure(self) -> Backlog:
        with autocommit(self._engine) as connection:
            found = connection.execute(_MEASURE).one()
        return Backlog(found.rows, float(found.seconds), found.set_aside_rows, float(found.set_aside_seconds))

    def _change(self, statement: Any, positions: Sequence[int]) -> None:
        if positions:
            with autocommit(self._engine) as connection:
                connection.execute(statement, {"positions": list(positions)})
