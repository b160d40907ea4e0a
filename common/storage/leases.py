"""A lease: one holder at a time, by a row on the database's clock.

A session lock would survive a frozen process; a lease expires. It is not a fence: a holder that was frozen may act once
more after it lost the lease, so its work must be idempotent.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import text

from common.storage.postgresql import autocommit

if TYPE_CHECKING:
    from sqlalchemy import Engine

SCHEMA_V1 = """
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL
)
"""

_ACQUIRE = text("""
    INSERT INTO leases (name, holder, expires_at)
    VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.holder = excluded.holder OR leases.expires_at < clock_timestamp()
    RETURNING 1
""")
_RELEASE = text("DELETE FROM leases WHERE name = :name AND holder = :holder")


class Lease:
    """`hold()` returns whether this holder has the lease now; it queries the database only when a renewal is due."""

    def __init__(self, engine: Engine, name: str, holder: str, seconds: float) -> None:
        self._engine, self._seconds = engine, seconds
        self._values = {"name": name, "holder": holder}
        self._renew_at = 0.0
        self._may_be_held = False

    def hold(self) -> bool:
        """True if held. Raises as the database does."""
        now = time.monotonic()
        if now < self._renew_at:
            return True
        self._renew_at, self._may_be_held = 0.0, True
        with autocommit(self._engine) as connection:
            held = connection.execute(_ACQUIRE, self._values | {"seconds": self._seconds}).first() is not None
        # Measured from before the statement: the database's clock started no earlier than that.
        self._renew_at = now + self._seconds / 3 if held else 0.0
        self._may_be_held = held
        return held

    def release(self) -> None:
        """Release the lease, so that a standby takes over at once."""
        self._renew_at = 0.0
        if not self._may_be_held:
            return
        with autocommit(self._engine) as connection:
            connection.execute(_RELEASE, self._values)
        self._may_be_held = False
