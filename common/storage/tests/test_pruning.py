"""Pruning on a real PostgreSQL: what is old goes, in batches, and what is fresh or in flight stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.messaging import inbox
from common.messaging.events import new_id
from common.storage.postgresql import make_engine, transaction
from common.storage.pruning import INBOX_SECONDS, REPLIES_SECONDS, prune_inbox, prune_replies
from common.web import idempotency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
DAY = 24 * 3600


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    made = make_engine(database(), pool_size=2, timeout_seconds=60, name="test")
    with transaction(made) as connection:
        for ddl in (inbox.SCHEMA_V1, inbox.INDEX_V1, idempotency.SCHEMA_V1, idempotency.INDEX_V1):
            connection.execute(text(ddl))
    yield made
    made.dispose()


def receive(engine: Engine, count: int, days_ago: float) -> None:
    insert = "INSERT INTO inbox (consumer, event_id, received_at) VALUES ('c', :id, now() - make_interval(secs => :s))"
    with transaction(engine) as connection:
        connection.execute(text(insert), [{"id": new_id(), "s": days_ago * DAY} for _ in range(count)])


def reply(engine: Engine, key: str, *, days_ago: float, lease_seconds: float | None = None) -> None:
    insert = text("""
        INSERT INTO idempotency_replies (scope, key, fingerprint, status, leased_until, created_at)
        VALUES ('s', :key, 'f', :status, now() + make_interval(secs => :lease), now() - make_interval(secs => :s))
    """)
    values = {"key": key, "status": 201 if lease_seconds is None else None, "lease": lease_seconds, "s": days_ago * DAY}
    with transaction(engine) as connection:
        connection.execute(insert, values)


def left(engine: Engine, table: str, column: str) -> list[str]:
    with transaction(engine) as connection:
        return list(connection.execute(text(f"SELECT {column}::text FROM {table} ORDER BY 1")).scalars())


def test_old_inbox_rows_go_in_batches_and_fresh_ones_stay(engine: Engine) -> None:
    receive(engine, 25, days_ago=8)
    receive(engine, 5, days_ago=6)
    batches = iter(range(100))
    assert prune_inbox(engine, lambda: next(batches) >= 0, batch_rows=10) == 25
    assert next(batches) == 3
    assert len(left(engine, "inbox", "event_id")) == 5
    assert prune_inbox(engine, lambda: True) == 0


def test_it_stops_between_two_batches_on_request(engine: Engine) -> None:
    receive(engine, 25, days_ago=8)
    turns = iter([True, False])
    assert prune_inbox(engine, lambda: next(turns), batch_rows=10) == 10


def test_replies_are_kept_two_days_and_longer_while_in_flight(engine: Engine) -> None:
    reply(engine, "fresh", days_ago=1.9)
    reply(engine, "old", days_ago=2.1)
    reply(engine, "old and given up", days_ago=2.1, lease_seconds=-10)
    reply(engine, "old and in flight", days_ago=2.1, lease_seconds=60)
    assert prune_replies(engine, lambda: True) == 2
    assert left(engine, "idempotency_replies", "key") == ["fresh", "old and in flight"]


def test_the_bounds_are_longer_than_what_is_promised() -> None:
    assert REPLIES_SECONDS >= DAY
    assert INBOX_SECONDS >= 7 * DAY
