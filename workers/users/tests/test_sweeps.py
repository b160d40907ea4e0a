"""Users' sweeps, a turn at a time, on the tables of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.resilience.sweeps import Turn
from common.storage.migrations import upgrade
from common.storage.postgresql import autocommit, make_engine
from workers.users.sweeps import SWEEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
INSERT = text("""
    INSERT INTO idempotency_replies (scope, key, fingerprint, status, created_at)
    VALUES ('anybody', :key, 'f', 201, clock_timestamp() - make_interval(days => :days))
""")


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    url = database()
    upgrade("users", url)
    made = make_engine(url, pool_size=1, timeout_seconds=5, name="test")
    yield made
    made.dispose()


def test_replies_are_kept_for_two_days(engine: Engine) -> None:
    with autocommit(engine) as connection:
        for key, days in (("old", 3), ("fresh", 1)):
            connection.execute(INSERT, {"key": key, "days": days})
    [sweep] = SWEEPS
    assert sweep.run(engine, Turn(goes_on=lambda: True, held_up=lambda: None)) == 1
    with autocommit(engine) as connection:
        assert connection.execute(text("SELECT key FROM idempotency_replies")).scalars().all() == ["fresh"]
