"""The engine on a real server: bounded waits, and connections that were closed while idle."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import OperationalError

from common.errors import LockTimeout, Unavailable, classify
from common.storage import postgresql
from common.storage.postgresql import autocommit, make_engine, ping, transaction
from common.tests.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.integration
POOL = 3
TIMEOUT_SECONDS = 3.0
PATIENCE_SECONDS = 60.0  # for what takes a moment, unless others keep both processors and the disk busy
PID = text("SELECT pg_backend_pid()")
# Those of this database: another process may run another of these tests.
TESTED = "FROM pg_stat_activity WHERE application_name = 'tested' AND datname = current_database()"
END = text(f"SELECT pg_terminate_backend(pid) {TESTED}")


@pytest.fixture
def url(database: Callable[[], str]) -> str:
    return database()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    made = make_engine(url, pool_size=POOL, timeout_seconds=PATIENCE_SECONDS, name="tested")
    yield made
    made.dispose()


@pytest.fixture
def bounded(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that only the server's time-outs bound: the client's, a moment later, would make it an outage."""
    make = postgresql._bounded_connection
    monkeypatch.setattr(postgresql, "_bounded_connection", lambda _seconds: make(PATIENCE_SECONDS))
    made = make_engine(url, pool_size=POOL, timeout_seconds=TIMEOUT_SECONDS, name="tested")
    yield made
    made.dispose()


@pytest.fixture
def other(url: str) -> Iterator[Engine]:
    made = make_engine(url, pool_size=1, timeout_seconds=PATIENCE_SECONDS, name="other")
    yield made
    made.dispose()


def test_a_url_without_a_driver_runs_on_psycopg2(url: str) -> None:
    engine = make_engine(url.replace("+psycopg2", ""), pool_size=1, timeout_seconds=PATIENCE_SECONDS, name="tested")
    try:
        ping(engine)
        assert engine.driver == "psycopg2"
    finally:
        engine.dispose()


def fill_pool(engine: Engine) -> None:
    """Have the engine hold as many connections as it may, all of them idle."""
    connections = [engine.connect() for _ in range(POOL)]
    for connection in connections:
        connection.execute(PID)
        connection.close()


def test_connections_that_ended_while_idle_cost_no_request(engine: Engine, other: Engine) -> None:
    """Like after a restart of the server: it is back, and the first request does not fail."""
    fill_pool(engine)
    with autocommit(other) as connection:
        assert len(connection.execute(END).all()) == POOL
        left = text(f"SELECT count(*) {TESTED}")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while connection.execute(left).scalar():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    for _ in range(POOL + 1):
        with transaction(engine) as connection:
            assert connection.execute(PID).scalar()


def test_a_healthy_connection_is_reused(engine: Engine) -> None:
    pids = set()
    for _ in range(5):
        with autocommit(engine) as connection:
            pids.add(connection.execute(PID).scalar())
    assert len(pids) == 1


def test_a_slow_statement_is_ended_by_the_server(bounded: Engine) -> None:
    with pytest.raises(OperationalError, match="statement timeout") as raised, autocommit(bounded) as connection:
        connection.execute(text("SELECT pg_sleep(60)"))
    assert classify(raised.value) is Unavailable
    with autocommit(bounded) as connection:
        assert connection.execute(PID).scalar()


LOCK = text("SELECT id FROM things WHERE id = 1 FOR UPDATE")
# What a statement with several rows comes to: by the time it waits for the held one, most of its time is used up.
LATE_LOCK = text("""
    WITH slept AS MATERIALIZED (SELECT pg_sleep(1.8))
    SELECT id FROM things, slept WHERE id = 1 FOR UPDATE OF things
""")


@pytest.mark.parametrize(("lock", "waiting"), [(LOCK, POOL), (LATE_LOCK, 1)], ids=["several wait", "late"])
def test_a_row_that_is_held_is_no_outage(bounded: Engine, other: Engine, lock: TextClause, waiting: int) -> None:
    """Where several wait for it, each waits for its turn first and then for the row."""
    with transaction(other) as connection:
        connection.execute(text("CREATE TABLE things (id int PRIMARY KEY)"))
        connection.execute(text("INSERT INTO things VALUES (1)"))

    def wait(_: int) -> type[Exception]:
        with pytest.raises(OperationalError) as raised, transaction(bounded) as connection:
            connection.execute(lock)
        return classify(raised.value)

    with transaction(other) as holder, ThreadPoolExecutor(waiting) as executor:
        holder.execute(LOCK)
        assert set(executor.map(wait, range(waiting))) == {LockTimeout}


def test_a_pool_that_is_used_up_is_an_outage(engine: Engine) -> None:
    connections = [engine.connect() for _ in range(POOL)]
    with pytest.raises(Exception, match="QueuePool limit") as raised:
        engine.connect()
    assert classify(raised.value) is Unavailable
    for connection in connections:
        connection.close()


def make_things_and_fail(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE things (id int)"))
    raise RuntimeError


def things(engine: Engine) -> str | None:
    with autocommit(engine) as connection:
        name: str | None = connection.execute(text("SELECT to_regclass('things')::text")).scalar()
        return name


def test_a_transaction_that_raises_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(RuntimeError), transaction(engine) as connection:
        make_things_and_fail(connection)
    assert things(engine) is None


def test_in_autocommit_each_statement_is_its_own_transaction(engine: Engine) -> None:
    with pytest.raises(RuntimeError), autocommit(engine) as connection:
        make_things_and_fail(connection)
    assert things(engine) == "things"


@pytest.mark.timeout(200)  # psycopg2's own statements pass by the wait callback: such a wait would have no end
def test_nothing_is_asked_of_the_server_between_the_statements(url: str) -> None:
    with Link(url) as link:
        engine = make_engine(link.url, pool_size=1, timeout_seconds=PATIENCE_SECONDS, name="tested")
        for _ in range(2):
            with autocommit(engine) as connection:
                connection.execute(PID)
                link.freeze()
            link.restore()
        with transaction(engine) as connection:
            connection.execute(text("CREATE TEMP TABLE kept (n int)"))
            underlying: Any = connection.connection.dbapi_connection
        underlying.wait_seconds = TIMEOUT_SECONDS
        link.freeze()
        with pytest.raises(OperationalError) as caught, autocommit(engine) as connection:
            connection.execute(PID)
        assert classify(caught.value) is Unavailable
        engine.dispose()


def test_the_use_of_the_pool_is_shown(engine: Engine) -> None:
    def shown(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"holdfast_database_pool_{name}", {"pool": "tested"})

    assert (shown("size"), shown("in_use")) == (POOL, 0)
    with engine.connect(), engine.connect():
        assert shown("in_use") == 2
    assert shown("in_use") == 0


@pytest.mark.parametrize("nonsense", [b"\xe7\n", b"\xff" * 64, b"N" + b"\x00" * 9, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_malformed_reply_is_an_outage(nonsense: bytes) -> None:
    def answer(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):  # the client may have hung up
                connection.recv(1024)
                connection.sendall(nonsense)
                connection.recv(1024)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        url = f"postgresql+psycopg2://somebody:secret@127.0.0.1:{listener.getsockname()[1]}/nothing"
        engine = make_engine(url, pool_size=1, timeout_seconds=TIMEOUT_SECONDS, name="tested")
        with pytest.raises(OperationalError) as caught:
            ping(engine)
        assert classify(caught.value) is Unavailable
        listener.shutdown(socket.SHUT_RDWR)
