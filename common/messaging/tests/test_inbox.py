"""Once per consumer and event, also when it is delivered many times at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.messaging import inbox
from common.messaging.inbox import AlreadyHandled, Delivery, once
from common.storage.postgresql import make_engine, transaction
from common.tests.outboxes import make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
THREADS = 20


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    made = make_engine(database(), pool_size=THREADS, timeout_seconds=60, name="test")
    with transaction(made) as connection:
        for statement in (inbox.SCHEMA_V1, inbox.INDEX_V1, "CREATE TABLE effects (event_id uuid NOT NULL)"):
            connection.execute(text(statement))
    yield made
    made.dispose()


def handle(engine: Engine, delivery: Delivery) -> bool:
    """The effect of a sample consumer; whether it took place."""
    try:
        with once(engine, delivery) as connection:
            connection.execute(text("INSERT INTO effects VALUES (:id)"), {"id": delivery.event.id})
    except AlreadyHandled:
        return False
    return True


def effects(engine: Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM effects")).scalar_one())


def test_a_duplicate_has_no_effect(engine: Engine) -> None:
    delivery = Delivery("orders", make_event())
    assert [handle(engine, delivery) for _ in range(3)] == [True, False, False]
    assert effects(engine) == 1


def test_of_concurrent_deliveries_one_takes_effect(engine: Engine) -> None:
    deliveries = [Delivery("orders", make_event()) for _ in range(10)]
    barrier = threading.Barrier(THREADS)

    def race(_: int) -> int:
        barrier.wait(60)
        return sum(handle(engine, delivery) for delivery in deliveries)

    with ThreadPoolExecutor(THREADS) as threads:
        taken = sum(threads.map(race, range(THREADS)))
    assert taken == len(deliveries)
    assert effects(engine) == len(deliveries)


def test_each_consumer_has_its_own(engine: Engine) -> None:
    event = make_event()
    assert handle(engine, Delivery("orders", event))
    assert handle(engine, Delivery("payments", event))


def test_an_effect_that_fails_may_be_tried_again(engine: Engine) -> None:
    delivery = Delivery("orders", make_event())
    with pytest.raises(RuntimeError), once(engine, delivery):
        raise RuntimeError("the effect failed")
    assert handle(engine, delivery)


def test_a_second_delivery_waits_for_the_first_and_takes_its_place_if_that_fails(engine: Engine) -> None:
    delivery, entered, end = Delivery("orders", make_event()), threading.Event(), threading.Event()

    def fail() -> None:
        with once(engine, delivery):
            entered.set()
            assert end.wait(60)
            raise RuntimeError("the effect failed")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(fail)
        assert entered.wait(60)
        second = threads.submit(handle, engine, delivery)
        assert not second.done()
        end.set()
        with pytest.raises(RuntimeError):
            first.result(60)
        assert second.result(60) is True
    assert effects(engine) == 1
