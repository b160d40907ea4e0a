"""The filter of a list of orders, and the id range of a time range. Pure.

An order's id begins with the millisecond of its creation (UUIDv7), microseconds before `created_at`. So a list by time
reads a range of the primary key, and is paginated by id like every other list. Its bounds are exact to about a
millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

FIRST_ID, AFTER_ALL = str(UUID(int=0)), str(UUID(int=2**128 - 1))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RANDOM_BITS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """None is any. `since` is inclusive, `until` exclusive."""

    customer_id: str | None = None
    status: str | None = None
    sku: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def oldest(self) -> str:
        """The smallest allowed id of an order."""
        return first_id_at(self.since) if self.since else FIRST_ID

    def before(self, cursor: str | None) -> str:
        """The exclusive upper bound of ids on the page after `cursor`."""
        return min(cursor or AFTER_ALL, first_id_at(self.until) if self.until else AFTER_ALL)


def first_id_at(moment: datetime) -> str:
    """The smallest id of that millisecond or later."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    return str(UUID(int=max(0, milliseconds) << _RANDOM_BITS))
