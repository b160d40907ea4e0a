"""The saga clock, one row, and the orders that are overdue by it. `migrations/` creates it.

An order stores the clock's reading at its placement (`models.insert_placed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from common.storage.statements import statement

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TICK = text("""
    UPDATE saga_clock
    SET active_seconds = active_seconds + CASE WHEN :stands_still THEN 0 ELSE
            least(greatest(extract(epoch FROM clock_timestamp() - ticked_at), 0), :max_seconds) END,
        ticked_at = clock_timestamp()
    RETURNING active_seconds
""")
# The condition of the partial index orders_open_by_clock, so that the planner may use it.
_IS_OPEN = "status IN ('pending', 'reserved')"
_ADOPT = statement("UPDATE orders SET clock_reading = :now WHERE clock_reading IS NULL AND {is_open}", is_open=_IS_OPEN)
_OVERDUE = statement(
    """
    SELECT id::text FROM orders WHERE clock_reading < :before AND {is_open} ORDER BY clock_reading LIMIT :limit
    """,
    is_open=_IS_OPEN,
)


def tick(connection: Connection, *, is_stopped: bool, max_seconds: float) -> float:
    """Advance the clock by the time since its last tick; returns its reading."""
    values = {"stands_still": is_stopped, "max_seconds": max_seconds}
    return float(connection.execute(_TICK, values).scalar_one())


def adopt(connection: Connection, reading: float) -> None:
    """An open order placed by a version without the clock: its time begins now."""
    connection.execute(_ADOPT, {"now": reading})


def overdue(connection: Connection, *, before: float, limit: int) -> list[str]:
    """Open orders that were placed before this reading of the clock, oldest first."""
    return list(connection.execute(_OVERDUE, {"before": before, "limit": limit}).scalars())
