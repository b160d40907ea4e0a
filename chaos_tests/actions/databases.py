"""Faults inside PostgreSQL and MongoDB: backends terminated, tables locked, deadlocks, a primary that steps down.

It acts as the servers' administrator; of the contexts' tables it knows only the names.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg2
import pymongo
import pymongo.errors
from psycopg2 import sql

from chaos_tests.actions.evidence import result, wait_until
from chaos_tests.actions.subscriptions import consumers_of
from chaos_tests.runners.drivers.driver import local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_SECONDS, PRIMARY_SECONDS = 5, 60.0
ADVERSARIES = 2
# The tables on an order's path; the row's key in each.
TABLES = {"orders": "orders", "inventory": "products", "payments": "payments"}
APPLICATION = "holdfast-chaos"
# Not the administrator's own connections, such as those that measure tables.
WAITING = f"""
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND application_name <> '{APPLICATION}'
"""
LAST_SOLD = "SELECT sku FROM products WHERE sku <> 'CHAOS-STEADY' ORDER BY age(xmin) LIMIT 1 FOR UPDATE"
RESERVED_SINCE = "SELECT count(*) FROM reservations WHERE created_at > transaction_timestamp()"
ALL_BACKENDS = """
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> %s
"""


def terminate_backends(configuration: dict[str, Any], times: int = 3) -> dict[str, Any]:
    """Terminate every client's backend, and again a second later, because pools still have dead connections."""
    ended = 0
    with administrator_of(configuration, "postgres") as cursor:
        for _ in range(times):
            cursor.execute(ALL_BACKENDS, [APPLICATION])
            ended += cursor.fetchone()[0]
            time.sleep(1)
    return result(f"{ended} backends were terminated", took_effect=ended > 0)


def hold_lock(context: str, seconds: float, configuration: dict[str, Any]) -> dict[str, Any]:
    """Lock a context's main table exclusively for that long. The lock ends with the connection in any case."""
    waiting = 0
    with administrator_of(configuration, context, seconds) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(TABLES[context])))
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            cursor.execute(WAITING)
            waiting = max(waiting, cursor.fetchone()[0])
            time.sleep(0.2)
        cursor.execute("ROLLBACK")
    return result(f"up to {waiting} backends waited for {context}'s {TABLES[context]}", took_effect=waiting > 0)


def hold_row(seconds: float, configuration: dict[str, Any]) -> dict[str, Any]:
    """Lock the row of the last sold product for that long. Raises `AssertionError` if a worker pauses for it."""
    waiting = 0
    broker_url = local(configuration).stack.urls.rabbitmq
    with (
        administrator_of(configuration, "inventory", seconds) as cursor,
        consumers_of("inventory.events", broker_url) as count,
    ):
        cursor.execute("BEGIN")
        cursor.execute(LAST_SOLD)
        (sku,) = cursor.fetchone()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            cursor.execute(WAITING)
            waiting = max(waiting, cursor.fetchone()[0])
            if not count():
                raise AssertionError("inventory's worker paused for one row")
            time.sleep(0.2)
        cursor.execute(RESERVED_SINCE)
        (others,) = cursor.fetchone()
        cursor.execute("ROLLBACK")
    evidence = f"up to {waiting} backends waited for {sku}; {others} other orders were reserved; no worker paused"
    return result(evidence, took_effect=waiting > 0 and others > 0)


def provoke_deadlocks(seconds: float, configuration: dict[str, Any]) -> dict[str, Any]:
    """Lock products one by one, in the reverse order of inventory's, to cause deadlocks."""
    local(configuration).journal.add(restore_deadlock_timeout, {})
    # The system's lock time-out is shorter than a second, PostgreSQL's default for deadlock detection.
    alter_system(configuration, "SET deadlock_timeout = '100ms'")
    before = _deadlocks(configuration)
    run_adversaries(_lock_backwards, configuration, seconds)
    restore_deadlock_timeout(configuration)
    time.sleep(1)  # the server's statistics are delayed
    count = _deadlocks(configuration) - before
    return result(f"PostgreSQL counted {count} deadlocks", took_effect=count > 0)


def restore_deadlock_timeout(configuration: dict[str, Any]) -> dict[str, Any]:
    """Restore PostgreSQL's deadlock time-out."""
    alter_system(configuration, "RESET deadlock_timeout")
    local(configuration).journal.remove(restore_deadlock_timeout, {})
    return result("PostgreSQL looks for deadlocks after its usual time")


def step_down(configuration: dict[str, Any], seconds: int = 8) -> dict[str, Any]:
    """Make MongoDB's primary step down: there is none until it may be elected again. Returns when there is one."""
    with mongodb_administrator_of(configuration) as client:
        before = client.admin.command("replSetGetStatus")["term"]
        with suppress(pymongo.errors.AutoReconnect):
            client.admin.command("replSetStepDown", seconds, force=True)
        took = wait_until(lambda: _term(client) > before, PRIMARY_SECONDS, "a new primary")
        after = _term(client)
    return result(f"no primary for {took:.1f} s; term {before} became {after}", took_effect=after > before)


def _lock_backwards(configuration: dict[str, Any], end: float) -> None:
    while time.monotonic() < end:
        with suppress(psycopg2.Error), administrator_of(configuration, "inventory", 5) as cursor:
            cursor.execute("SELECT sku FROM products WHERE sku <> 'CHAOS-STEADY' ORDER BY age(xmin) LIMIT 10")
            skus = sorted((sku for (sku,) in cursor.fetchall()), reverse=True)
            cursor.execute("BEGIN")
            # Long, so that the other session detects the deadlock first, and is its victim.
            cursor.execute("SET LOCAL deadlock_timeout = '5s'")
            for sku in skus:
                cursor.execute("SELECT 1 FROM products WHERE sku = %s FOR UPDATE", [sku])
                time.sleep(0.05)
            cursor.execute("ROLLBACK")
        time.sleep(0.1)


def _deadlocks(configuration: dict[str, Any]) -> int:
    with administrator_of(configuration, "postgres") as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = 'inventory'")
        return int(cursor.fetchone()[0])


def run_adversaries(
    adversary: Callable[[dict[str, Any], float], None], configuration: dict[str, Any], seconds: float
) -> None:
    """Run two sessions that disturb the system's own, each until the end of that time."""
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(ADVERSARIES) as executor:
        list(executor.map(adversary, [configuration] * ADVERSARIES, [end] * ADVERSARIES))


def alter_system(configuration: dict[str, Any], change: str) -> None:
    """Change a setting of the server for all sessions, also open ones."""
    with administrator_of(configuration, "postgres") as cursor:
        cursor.execute(f"ALTER SYSTEM {change}")
        cursor.execute("SELECT pg_reload_conf()")


@contextmanager
def administrator_of(configuration: dict[str, Any], database: str, seconds: float = 10) -> Iterator[Any]:
    """A cursor of the administrator in a database, with autocommit and a statement time-out."""
    url = local(configuration).stack.urls.postgres_administrator.replace("+psycopg2", "")
    options = f"-c statement_timeout={int(seconds * 1000) + 5000}"
    connection = psycopg2.connect(
        f"{url.rpartition('/')[0]}/{database}",
        connect_timeout=CONNECT_SECONDS,
        application_name=APPLICATION,
        options=options,
    )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@contextmanager
def mongodb_administrator_of(configuration: dict[str, Any]) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """A client of the administrator."""
    url = local(configuration).stack.urls.mongodb_administrator
    with pymongo.MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=CONNECT_SECONDS * 1000) as client:
        yield client


def _term(client: pymongo.MongoClient[dict[str, Any]]) -> int:
    """The term of the current primary. Raises `LookupError` while there is none."""
    try:
        status = client.admin.command("replSetGetStatus")
    except pymongo.errors.PyMongoError as error:
        raise KeyError(str(error)) from error
    if status["myState"] != 1:
        raise KeyError("there is no primary")
    return int(status["term"])
