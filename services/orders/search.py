"""Which orders a list wants, and the bounds of ids that a time means. Pure.

An order's id begins with the millisecond in which it was made (UUIDv7), microseconds before `created_at`. So a list by
time reads a range of the primary key, and its pages follow each other by id as those of every other list do. Its bounds
are therefore true to about a millisecond.
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
        """The smallest id that an order may have."""
        return first_id_at(self.since) if self.since else FIRST_ID

    def before(self, cursor: str | None) -> str:
        """What every id is smaller than, on the page after `cursor`."""
        return min(cursor or AFTER_ALL, first_id_at(self.until) if self.until else AFTER_ALL)


def first_id_at(moment: datetime) -> str:
    """The smallest id that can be made in that millisecond or later."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    return str(UUID(int=max(0, milliseconds) << _RANDOM_BITS))
