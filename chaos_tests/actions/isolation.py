"""Serialization failures: every transaction asks for an isolation that PostgreSQL keeps by refusing some of them.

`serializable` becomes the default of every session, also of those that are open. Beside the system somebody writes the
products that were ordered last, as they are; whoever waited for such a row is refused with SQLSTATE 40001 and has to
begin again. The system's own transactions refuse one another as well.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg2

from chaos_tests.actions.databases import administrator_of
from chaos_tests.actions.evidence import seen
from chaos_tests.runners.drivers.driver import local

if TYPE_CHECKING:
    from pathlib import Path

HELD_SECONDS, PAUSE_SECONDS = 0.03, 0.1
ADVERSARIES = 2
# By the server's own log, whose lines begin with "... user@database ": the administrator's refusals are our own.
REFUSED = re.compile(r" (\w+)@(\w+) ERROR:  could not serialize access")
# In the order in which inventory locks them: no deadlocks here.
TOUCH = """
    WITH ordered AS (SELECT sku FROM products WHERE sku <> 'CHAOS-STEADY' ORDER BY age(xmin) LIMIT 12),
    held AS (SELECT sku FROM products WHERE sku IN (SELECT sku FROM ordered) ORDER BY sku FOR UPDATE)
    UPDATE products SET version = version WHERE sku IN (SELECT sku FROM held)
"""


def provoke_serialization_failures(seconds: float, configuration: dict[str, Any]) -> dict[str, Any]:
    """Let all transactions be serializable for that long, with contention on the products that are ordered."""
    local(configuration).journal.add(isolate_as_usual, {})
    log = local(configuration).stack.home.log("postgres")
    began_at = log.stat().st_size
    _by_default(configuration, "SET default_transaction_isolation = 'serializable'")
    end = time.monotonic() + seconds
    adversaries = [threading.Thread(target=_touch, args=(configuration, end)) for _ in range(ADVERSARIES)]
    for adversary in adversaries:
        adversary.start()
    for adversary in adversaries:
        adversary.join()
    isolate_as_usual(configuration)
    with administrator_of(configuration, "postgres") as cursor:
        cursor.execute("SELECT current_user")
        refused = _refused(log, began_at, cursor.fetchone()[0])
    where = ", ".join(f"{count} in {database}" for database, count in refused.most_common())
    return seen(f"PostgreSQL refused transactions with 40001: {where or 'none'}", bit=bool(refused))


def isolate_as_usual(configuration: dict[str, Any]) -> dict[str, Any]:
    """Let transactions be as PostgreSQL's own default has them again; those under way end as they began."""
    _by_default(configuration, "RESET default_transaction_isolation")
    local(configuration).journal.remove(isolate_as_usual, {})
    return seen("transactions are isolated as usual")


def _by_default(configuration: dict[str, Any], change: str) -> None:
    with administrator_of(configuration, "postgres") as cursor:
        cursor.execute(f"ALTER SYSTEM {change}")
        cursor.execute("SELECT pg_reload_conf()")


def _touch(configuration: dict[str, Any], end: float) -> None:
    while time.monotonic() < end:
        with suppress(psycopg2.Error), administrator_of(configuration, "inventory", 5) as cursor:
            while time.monotonic() < end:
                cursor.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                cursor.execute(TOUCH)
                time.sleep(HELD_SECONDS)
                cursor.execute("COMMIT")
                time.sleep(PAUSE_SECONDS)


def _refused(log: Path, began_at: int, administrator: str) -> Counter[str]:
    """How many transactions of the system were refused since the log was that long, by database."""
    with log.open("rb") as file:
        file.seek(began_at if log.stat().st_size >= began_at else 0)  # it is started again when it has grown too long
        text = file.read().decode(errors="replace")
    return Counter(database for user, database in REFUSED.findall(text) if user != administrator)
