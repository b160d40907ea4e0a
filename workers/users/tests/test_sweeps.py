"""Users' sweeps, one run at a time, on the tables of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.resilience.sweeps import SweepContext
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

INSERT_FAILURE = text("""
    INSERT INTO failed_sign_ins (account, network, failures, first_at)
    VALUES ('a', :network, 1, clock_timestamp() - make_interval(mins => :minutes))
""")


@pytest.fixture
def engine(migrated_database: Callable[[str], str]) -> Iterator[Engine]:
    made = make_engine(migrated_database("users"), pool_size=1, timeout_seconds=60, name="test")
    yield made
    made.dispose()


def test_replies_are_stored_for_two_days(engine: Engine) -> None:
    with autocommit(engine) as connection:
        for key, days in (("old", 3), ("fresh", 1)):
            connection.execute(INSERT, {"key": key, "days": days})
    assert run(engine, "prune-replies") == 1
    with autocommit(engine) as connection:
        assert connection.execute(text("SELECT key FROM idempotency_replies")).scalars().all() == ["fresh"]


def test_failed_sign_ins_are_deleted_when_they_no_longer_count(engine: Engine) -> None:
    with autocommit(engine) as connection:
        for network, minutes in (("192.0.2.1", 16), ("192.0.2.2", 14)):
            connection.execute(INSERT_FAILURE, {"network": network, "minutes": minutes})
    assert run(engine, "prune-sign-ins") == 1
    with autocommit(engine) as connection:
        assert connection.execute(text("SELECT network FROM failed_sign_ins")).scalars().all() == ["192.0.2.2"]


def run(engine: Engine, name: str) -> int:
    [sweep] = [each for each in SWEEPS if each.name == name]
    return sweep.run(engine, SweepContext(should_continue=lambda: True, held_up=lambda: None))
