"""Pruning: deletes old rows in small batches, so that the kit's tables do not grow for ever.

P2 still holds afterwards: an event that is redelivered after its inbox row was pruned meets a handler that checks the
state, and changes nothing; a reply is kept longer than the promised 24 hours, and an order keeps its key in its own row
for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from common.storage.postgresql import autocommit
from common.storage.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine, TextClause

    from common.resilience.sweeps import SweepContext

INBOX_SECONDS = 7 * 24 * 3600.0
REPLIES_SECONDS = 48 * 3600.0
BATCH_ROWS = 2_000

# Not clock_timestamp(): an index cannot use a volatile function as a bound.
_OLD = "statement_timestamp() - make_interval(secs => :seconds)"
_INBOX = statement(
    """
    DELETE FROM inbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM inbox WHERE received_at < {old} ORDER BY received_at LIMIT :limit
    ))
    """,
    old=_OLD,
)
# A valid lease is a request in flight, of any age.
_REPLIES = statement(
    """
    DELETE FROM idempotency_replies WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM idempotency_replies
        WHERE created_at < {old} AND (leased_until IS NULL OR leased_until < clock_timestamp())
        ORDER BY created_at LIMIT :limit
    )) AND (leased_until IS NULL OR leased_until < clock_timestamp())
    """,
    old=_OLD,
)


def prune_inbox(
    engine: Engine,
    should_continue: Callable[[], bool],
    *,
    older_seconds: float = INBOX_SECONDS,
    batch_rows: int = BATCH_ROWS,
) -> int:
    """Delete older inbox rows; returns how many."""
    return _prune(engine, should_continue, _INBOX, older_seconds, batch_rows)


def prune_replies(
    engine: Engine,
    should_continue: Callable[[], bool],
    *,
    older_seconds: float = REPLIES_SECONDS,
    batch_rows: int = BATCH_ROWS,
) -> int:
    """Delete older stored replies, unless their request is in flight; returns how many."""
    return _prune(engine, should_continue, _REPLIES, older_seconds, batch_rows)


class HasEngine(Protocol):
    """The resources of a context's sweeps: an engine, or an object with one."""

    @property
    def engine(self) -> Engine: ...


def sweep_inbox(resources: HasEngine, context: SweepContext) -> int:
    """The same as a sweep."""
    return prune_inbox(resources.engine, context.should_continue)


def sweep_replies(resources: HasEngine, context: SweepContext) -> int:
    """The same as a sweep."""
    return prune_replies(resources.engine, context.should_continue)


def _prune(
    engine: Engine, should_continue: Callable[[], bool], delete: TextClause, older_seconds: float, batch_rows: int
) -> int:
    pruned = 0
    while should_continue():
        # Each batch is a separate transaction: short locks, and progress is kept.
        with autocommit(engine) as connection:
            deleted = connection.execute(delete, {"seconds": older_seconds, "limit": batch_rows}).rowcount
        pruned += deleted
        if deleted < batch_rows:
            break
    return pruned
