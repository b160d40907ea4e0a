"""Several events in one transaction: all of them take effect, each once, or none does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.messaging import inbox
from common.messaging.batch_handling import InboxBatches
from common.messaging.inbox import Delivery, Work, after_commit, once
from common.storage.postgresql import make_engine, transaction
from common.tests.outboxes import make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
FINE, FAILING, SLOW = "batch.fine.v1", "batch.failing.v1", "batch.slow.v1"
SUBJECTS = ("a", "b", "c", "d")


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    made = make_engine(database(), pool_size=4, timeout_seconds=60, name="test")
    tables = ("CREATE TABLE effects (event_id uuid NOT NULL)", "CREATE TABLE subjects (name text PRIMARY KEY, n int)")
    with transaction(made) as connection:
        for statement in (inbox.SCHEMA_V1, *tables):
            connection.execute(text(statement))
        connection.execute(text("INSERT INTO subjects SELECT unnest(:names), 0"), {"names": list(SUBJECTS)})
    yield made
    made.dispose()


class Handlers:
    """Those of a sample consumer; `counted` is what was counted after a commit."""

    def __init__(self) -> None:
        self.counted = 0
        self.table: dict[str, Callable[[Delivery, Work], None]] = {
            FINE: self.take_effect,
            FAILING: self.fail,
            SLOW: self.change_subject,
        }

    def take_effect(self, delivery: Delivery, work: Work) -> None:
        with once(work, delivery) as connection:
            connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})
        after_commit(work, self._count)

    def fail(self, delivery: Delivery, work: Work) -> None:
        with once(work, delivery):
            raise RuntimeError("a bug")

    def change_subject(self, delivery: Delivery, work: Work) -> None:
        with once(work, delivery) as connection:
            connection.execute(
                text("UPDATE subjects SET n = n + 1 WHERE name = :name"), {"name": delivery.event.subject}
            )
            time.sleep(0.02)

    def _count(self) -> None:
        self.counted += 1


def deliver(*types: str) -> list[Delivery]:
    return [Delivery("sample", make_event(event_type=each)) for each in types]


def rows(engine: Engine, table: str) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_all_of_a_batch_take_effect_once(engine: Engine) -> None:
    handlers = Handlers()
    batches = InboxBatches(engine, handlers.table)
    deliveries = deliver(*[FINE] * 5)
    assert batches.handle([*deliveries, deliveries[0]]) == [True] * 5 + [False]
    assert batches.handle(deliveries[:2]) == [False, False]
    assert rows(engine, "effects") == rows(engine, "inbox") == handlers.counted == 5


def test_a_failing_event_leaves_nothing_of_its_batch(engine: Engine) -> None:
    handlers = Handlers()
    with pytest.raises(RuntimeError):
        InboxBatches(engine, handlers.table).handle(deliver(FINE, FAILING, FINE))
    assert rows(engine, "effects") == rows(engine, "inbox") == handlers.counted == 0


def test_an_event_that_is_handled_alone_counts_after_its_commit(engine: Engine) -> None:
    handlers = Handlers()
    handlers.take_effect(deliver(FINE)[0], engine)
    assert rows(engine, "effects") == handlers.counted == 1


def test_batches_with_the_same_events_do_not_deadlock(engine: Engine) -> None:
    batches = InboxBatches(engine, Handlers().table)
    deliveries = deliver(*[FINE] * 200)
    barrier = threading.Barrier(2)

    def handle(order: int) -> int:
        barrier.wait(60)
        return sum(batches.handle(deliveries[::order]))

    with ThreadPoolExecutor(2) as executor:
        assert sum(executor.map(handle, (1, -1))) == len(deliveries)
    assert rows(engine, "effects") == len(deliveries)


def test_batches_lock_their_subjects_in_one_order(engine: Engine) -> None:
    batches = InboxBatches(engine, Handlers().table)
    barrier = threading.Barrier(2)

    def handle(order: int) -> list[bool]:
        deliveries = [Delivery("sample", make_event(event_type=SLOW, subject=each)) for each in SUBJECTS[::order]]
        barrier.wait(60)
        return batches.handle(deliveries)

    with ThreadPoolExecutor(2) as executor:
        assert list(executor.map(handle, (1, -1))) == [[True] * 4] * 2
