"""Keys on a real database: one effect per key under concurrency."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from common.errors import Conflict, Rejected
from common.storage.postgresql import make_engine, transaction
from common.web import idempotency
from common.web.idempotency import Reply, RequestKey, claim, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
KEY = RequestKey("u1 POST /things", "k1", fingerprint("POST", "/things", {"name": "a"}))


@pytest.fixture
def engine(database: Callable[[], str]) -> Iterator[Engine]:
    engine = make_engine(database(), pool_size=25, timeout_seconds=60, name="test")
    with transaction(engine) as connection:
        connection.execute(text(idempotency.SCHEMA_V1))
        connection.execute(text("CREATE TABLE effects (name text)"))
    yield engine
    engine.dispose()


def _make(engine: Engine, key: RequestKey | None, name: str = "a") -> Reply:
    with transaction(engine) as connection, claim(connection, key) as attempt:
        if attempt.reply:
            return attempt.reply
        connection.execute(text("INSERT INTO effects VALUES (:name)"), {"name": name})
        body = {"name": name, "secret": "s3cret"}
        return attempt.store(201, body, headers={"Location": "/things/a"}, secrets=("secret",))


def _effects(engine: Engine) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(text("SELECT count(*) FROM effects")).scalar_one())


def test_the_second_request_gets_the_first_reply_without_its_secret(engine: Engine) -> None:
    first, second = _make(engine, KEY), _make(engine, KEY)
    assert first == Reply(201, {"name": "a", "secret": "s3cret"}, {"Location": "/things/a"})
    assert second == Reply(201, {"name": "a"}, {"Location": "/things/a"}, replayed=True)
    assert _effects(engine) == 1
    with transaction(engine) as connection:
        kept = str(connection.execute(text("SELECT * FROM idempotency_replies")).all())
    assert "s3cret" not in kept


def test_without_a_key_every_request_counts(engine: Engine) -> None:
    assert [_make(engine, None).replayed for _ in range(2)] == [False, False]
    assert _effects(engine) == 2


def test_another_body_under_the_same_key_is_refused(engine: Engine) -> None:
    _make(engine, KEY)
    other = RequestKey(KEY.scope, KEY.key, fingerprint("POST", "/things", {"name": "b"}))
    with pytest.raises(Rejected) as caught:
        _make(engine, other)
    assert (caught.value.status, caught.value.code) == (422, "idempotency_key_reused")
    assert _effects(engine) == 1


def test_callers_and_routes_do_not_share_keys(engine: Engine) -> None:
    for scope in ("u1 POST /things", "u2 POST /things", "u1 POST /others"):
        assert not _make(engine, RequestKey(scope, KEY.key, KEY.fingerprint)).replayed
    assert _effects(engine) == 3


def test_a_failure_leaves_no_trace(engine: Engine) -> None:
    def fail() -> None:
        with transaction(engine) as connection, claim(connection, KEY):
            connection.execute(text("INSERT INTO effects VALUES ('a')"))
            raise Conflict("no")

    with pytest.raises(Conflict):
        fail()
    assert _effects(engine) == 0
    assert not _make(engine, KEY).replayed


def test_a_second_request_does_not_wait_for_the_first(engine: Engine) -> None:
    with transaction(engine) as connection, claim(connection, KEY) as attempt:
        with pytest.raises(Conflict) as caught:
            _make(engine, KEY)
        assert (caught.value.status, caught.value.code) == (409, "idempotency_key_in_flight")
        attempt.store(201, {})
    assert _make(engine, KEY).replayed


def test_twenty_at_once_have_one_effect(engine: Engine) -> None:
    barrier = threading.Barrier(20)

    def request(_number: int) -> str:
        barrier.wait(timeout=60)
        try:
            return "replayed" if _make(engine, KEY).replayed else "first"
        except Conflict as refusal:
            return refusal.code

    with ThreadPoolExecutor(20) as pool:
        outcomes = Counter(pool.map(request, range(20)))
    assert outcomes["first"] == 1
    assert set(outcomes) <= {"first", "replayed", "idempotency_key_in_flight"}
    assert _effects(engine) == 1
    assert _make(engine, KEY).replayed


def test_forgetting_to_store_the_reply_undoes_the_effect(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="store"), transaction(engine) as connection, claim(connection, KEY):
        connection.execute(text("INSERT INTO effects VALUES ('a')"))
    assert _effects(engine) == 0


def test_the_order_of_fields_does_not_matter_but_all_else_does() -> None:
    base = fingerprint("POST", "/a", {"x": 1, "y": [1, 2]})
    assert base == fingerprint("POST", "/a", {"y": [1, 2], "x": 1})
    others = [
        fingerprint("PUT", "/a", {"x": 1, "y": [1, 2]}),
        fingerprint("POST", "/b", {"x": 1, "y": [1, 2]}),
        fingerprint("POST", "/a", {"x": 1, "y": [2, 1]}),
        fingerprint("POST", "/a", {"x": "1", "y": [1, 2]}),
        fingerprint("POST", "/a", None),
        fingerprint("POST", "/a", {}),
    ]
    assert len({base, *others}) == 7
