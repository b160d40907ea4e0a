"""Leases on a real PostgreSQL: one holder at a time, by the database's clock."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.storage import leases
from common.storage.leases import Lease
from common.storage.postgresql import make_engine, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    made = make_engine(database(), pool_size=10, timeout_seconds=60, name="test")
    with transaction(made) as connection:
        connection.execute(text(leases.SCHEMA_V1))
    yield made
    made.dispose()


def test_only_one_of_many_gets_it(engine: Engine) -> None:
    barrier, held = threading.Barrier(10), []

    def compete(number: int) -> None:
        lease = Lease(engine, "sweep", f"holder-{number}", 30)
        barrier.wait()
        if lease.hold():
            held.append(number)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(held) == 1


def test_a_holder_that_renews_keeps_it_beyond_its_length(engine: Engine) -> None:
    first, second = Lease(engine, "sweep", "a", 5), Lease(engine, "sweep", "b", 5)  # renewed in time on a busy machine
    until = time.monotonic() + 7
    while time.monotonic() < until:
        assert first.hold()
        assert not second.hold()
        time.sleep(0.05)


def test_it_runs_out_when_the_holder_falls_silent(engine: Engine) -> None:
    first, second = Lease(engine, "sweep", "a", 3), Lease(engine, "sweep", "b", 600)
    assert first.hold()
    assert not second.hold()
    time.sleep(3.2)
    assert second.hold()
    # The silent one comes back, and learns that it lost it.
    assert not first.hold()


def test_what_was_released_can_be_had_at_once_and_only_by_asking(engine: Engine) -> None:
    first, second = Lease(engine, "sweep", "a", 60), Lease(engine, "sweep", "b", 60)
    assert first.hold()
    first.release()
    assert second.hold()
    assert not first.hold()


def test_releasing_what_another_holds_changes_nothing(engine: Engine) -> None:
    first, second = Lease(engine, "sweep", "a", 60), Lease(engine, "sweep", "b", 60)
    assert first.hold()
    second.release()
    assert not second.hold()


def test_leases_of_different_names_do_not_meet(engine: Engine) -> None:
    assert Lease(engine, "sweep", "a", 60).hold()
    assert Lease(engine, "relay", "b", 60).hold()
