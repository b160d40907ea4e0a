"""PostgreSQL: an engine with bounded waits, and the transactions of the use cases. psycopg2 has no client-side
time-out: with a frozen server a thread would hang for ever.

A wait callback with a deadline ends each wait; the connection is then closed, because its state is unknown. An unknown
outcome is reported as an outage: the idempotency key or the inbox makes the retry safe.
"""

from __future__ import annotations

import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import ref

import psycopg2
import psycopg2.extensions
from prometheus_client import Gauge
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from common.observability import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator

POOL_WAIT_SECONDS = 1.0
WAIT_SECONDS = 60.0  # of connections without a bound of their own
POOL_SIZE = Gauge("holdfast_database_pool_size", "Connections that a pool may have at most", ["pool"])
POOL_IN_USE = Gauge("holdfast_database_pool_in_use", "Connections that are in use now", ["pool"])
_DRIVER = "postgresql+psycopg2"
_EVENTS = {psycopg2.extensions.POLL_READ: select.POLLIN, psycopg2.extensions.POLL_WRITE: select.POLLOUT}


def make_engine(url: str, *, pool_size: int, timeout_seconds: float, name: str) -> Engine:
    """An engine with at most `pool_size` connections; no statement, lock or socket waits past `timeout_seconds`.

    The server's time-outs are a little shorter than the client's, so that a slow server returns a clean error and only
    a frozen one costs the connection.
    """
    # The lock time-out is shorter than the statement's: otherwise a locked row would look like a slow server. If
    # several wait for the row, each waits twice, for its turn and for the row: both waits fit into a statement's time
    # (https://www.postgresql.org/docs/current/runtime-config-client.html).
    options = f"-c statement_timeout={int(timeout_seconds * 900)} -c lock_timeout={int(timeout_seconds * 400)} "
    options += f"-c idle_in_transaction_session_timeout={int(timeout_seconds * 5000)}"
    engine = create_engine(
        make_url(url).set(drivername=_DRIVER),  # SQLAlchemy 2.1 uses psycopg 3 for a plain `postgresql`
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,  # the exception's text is logged; it must not contain hashes and addresses
        connect_args={
            "connection_factory": _bounded_connection(timeout_seconds),
            "options": options,
            "application_name": name,
            "keepalives_idle": 10,
        },
    )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "checkout", _check_idle)
    _show(engine, name, pool_size)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed when the block ends, rolled back when it raises."""
    with tracing.child("transaction", "internal", {}, answers=(Exception,)), engine.begin() as connection:
        yield connection


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """A connection on which every statement is its own transaction: one round trip instead of three.

    Setting psycopg2's attribute sends nothing to the server; SQLAlchemy's isolation level "AUTOCOMMIT" is reset by
    statements without a time-out.
    """
    with engine.connect() as connection:
        underlying: Any = connection.connection.dbapi_connection
        underlying.autocommit = True
        try:
            yield connection
        finally:
            if not underlying.closed:
                underlying.autocommit = False


def ping(engine: Engine) -> None:
    """For readiness: returns if the database answers, else raises its error."""
    with autocommit(engine) as connection:
        connection.execute(text("SELECT 1"))


def _show(engine: Engine, name: str, pool_size: int) -> None:
    """Two gauges; they are read when metrics are scraped, so statements have no overhead."""
    seen = ref(engine)

    def in_use() -> float:
        shown = seen()
        return float(shown.pool.checkedout()) if shown is not None and isinstance(shown.pool, QueuePool) else 0.0

    POOL_SIZE.labels(name).set(pool_size)
    POOL_IN_USE.labels(name).set_function(in_use)


def _connect(dialect: Any, _record: object, arguments: Any, options: Any) -> Any:
    """psycopg2 quotes a malformed reply and fails to decode its own quotation: that is not PostgreSQL either."""
    try:
        return dialect.connect(*arguments, **options)
    except UnicodeDecodeError as error:
        raise psycopg2.OperationalError("the server at this address is not PostgreSQL") from error


def _check_idle(dbapi_connection: Any, *_: Any) -> None:
    """Replace an idle connection that the server closed; otherwise each would fail a request after a restart.

    On an idle connection the server sends only its end, and notifications to one that listens. The check needs no round
    trip.
    """
    poller = select.poll()
    poller.register(dbapi_connection.fileno(), select.POLLIN)
    if poller.poll(0) and not _is_notified(dbapi_connection):
        raise DisconnectionError("PostgreSQL closed the connection")


def _is_notified(dbapi_connection: Any) -> bool:
    """Read what the server sent to an idle connection; returns whether `notifies` has notifications."""
    try:
        dbapi_connection.poll()
    except psycopg2.Error:
        return False
    return bool(dbapi_connection.notifies)


class StalledError(psycopg2.OperationalError):
    """The server did not answer within the bound."""


def _bounded_connection(timeout_seconds: float) -> type[psycopg2.extensions.connection]:
    class BoundedConnection(psycopg2.extensions.connection):
        wait_seconds = timeout_seconds

    return BoundedConnection


def _wait(connection: Any) -> None:
    deadline = time.monotonic() + getattr(connection, "wait_seconds", WAIT_SECONDS)
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), _EVENTS[state])
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0 or not poller.poll(left_ms):
            raise StalledError("PostgreSQL did not answer in time")


# Process-wide in psycopg2: also for connections that are not made here, such as those that create databases.
psycopg2.extensions.set_wait_callback(_wait)
