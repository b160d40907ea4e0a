"""The lease: a remote call between two transactions, and a process that dies in the middle."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.errors import Conflict, Contention, Rejected
from common.storage.postgresql import make_engine, transaction
from common.web import idempotency
from common.web.idempotency import Reply, RequestKey, claim
from common.web.idempotency_lease import RequestLease, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
KEY = RequestKey("u1 POST /refunds", "k1", "f1")
DEAD = -1.0  # a lease that has run out already: its holder is gone


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    engine = make_engine(database(), pool_size=25, timeout_seconds=60, name="test")
    with transaction(engine) as connection:
        connection.execute(text(idempotency.SCHEMA_V1))
    yield engine
    engine.dispose()


def _begin(engine: Engine, resource_id: str, key: RequestKey | None = KEY, seconds: float = 600) -> RequestLease:
    with transaction(engine) as connection:
        return begin(connection, key, resource_id=resource_id, seconds=seconds)


def _finish(engine: Engine, lease: RequestLease) -> Reply:
    with transaction(engine) as connection:
        return lease.finish(connection, 201, {"id": lease.resource_id})


def test_finished_work_is_answered_again(engine: Engine) -> None:
    lease = _begin(engine, "r1")
    assert (lease.resource_id, lease.reply) == ("r1", None)
    assert _finish(engine, lease) == Reply(201, {"id": "r1"})
    assert _begin(engine, "r2").reply == Reply(201, {"id": "r1"}, replayed=True)


def test_a_concurrent_repetition_gets_a_conflict(engine: Engine) -> None:
    _begin(engine, "r1")
    with pytest.raises(Conflict) as caught:
        _begin(engine, "r2")
    assert caught.value.code == "idempotency_key_in_flight"


def test_a_plain_claim_respects_a_lease(engine: Engine) -> None:
    _begin(engine, "r1")
    with pytest.raises(Conflict), transaction(engine) as connection, claim(connection, KEY):
        pass


def test_who_takes_over_continues_with_the_first_resource(engine: Engine) -> None:
    _begin(engine, "r1", seconds=DEAD)
    second = _begin(engine, "r2")
    assert second.resource_id == "r1"
    assert _finish(engine, second).body == {"id": "r1"}


def test_who_was_taken_over_cannot_finish(engine: Engine) -> None:
    first = _begin(engine, "r1", seconds=DEAD)
    second = _begin(engine, "r2")
    with pytest.raises(Contention):
        _finish(engine, first)
    _finish(engine, second)
    with pytest.raises(Contention):
        _finish(engine, first)


def test_a_different_request_neither_takes_over_nor_replays(engine: Engine) -> None:
    _begin(engine, "r1", seconds=DEAD)
    with pytest.raises(Rejected) as caught:
        _begin(engine, "r2", RequestKey(KEY.scope, KEY.key, "f2"))
    assert caught.value.code == "idempotency_key_reused"


def test_released_work_starts_again(engine: Engine) -> None:
    first = _begin(engine, "r1")
    with transaction(engine) as connection:
        first.release(connection)
    assert _begin(engine, "r2").resource_id == "r2"


def test_without_a_key_nothing_is_kept(engine: Engine) -> None:
    for number in range(2):
        lease = _begin(engine, f"r{number}", key=None)
        assert _finish(engine, lease).body == {"id": f"r{number}"}
        with transaction(engine) as connection:
            lease.release(connection)


def test_one_of_twenty_takes_over(engine: Engine) -> None:
    _begin(engine, "r1", seconds=DEAD)
    barrier = threading.Barrier(20)

    def attempt(number: int) -> str:
        barrier.wait(timeout=60)
        try:
            return _begin(engine, f"late-{number}").resource_id
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(20) as pool:
        assert Counter(pool.map(attempt, range(20))) == {"r1": 1, "idempotency_key_in_flight": 19}
