"""Serialization failures: every transaction uses `serializable`, so PostgreSQL aborts some of them.

It becomes the default of every session, also of open ones. A concurrent session writes the recently ordered products
without changing them; a transaction that waited for such a row fails with SQLSTATE 40001 and must retry. The system's
own transactions conflict with each other as well.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg2

from chaos_tests.actions.databases import administrator_of, alter_system, run_adversaries
from chaos_tests.actions.evidence import result
from chaos_tests.runners.drivers.driver import local

if TYPE_CHECKING:
    from pathlib import Path

HELD_SECONDS, PAUSE_SECONDS = 0.03, 0.1
# From the server's log, whose lines begin with "... user@database ": ignore those of the administrator.
REFUSED = re.compile(r" (\w+)@(\w+) ERROR:  could not serialize access")
# In inventory's lock order, to avoid deadlocks.
TOUCH = """
    WITH ordered AS (SELECT sku FROM products WHERE sku <> 'CHAOS-STEADY' ORDER BY age(xmin) LIMIT 12),
    held AS (SELECT sku FROM products WHERE sku IN (SELECT sku FROM ordered) ORDER BY sku FOR UPDATE)
    UPDATE products SET version = version WHERE sku IN (SELECT sku FROM held)
"""


def provoke_serialization_failures(seconds: float, configuration: dict[str, Any]) -> dict[str, Any]:
    """Make all transactions serializable for that long, with contention on the ordered products."""
    local(configuration).journal.add(restore_isolation, {})
    log = local(configuration).stack.home.log("postgres")
    began_at = log.stat().st_size
    alter_system(configuration, "SET default_transaction_isolation = 'serializable'")
    run_adversaries(_touch, configuration, seconds)
    restore_isolation(configuration)
    with administrator_of(configuration, "postgres") as cursor:
        cursor.execute("SELECT current_user")
        refused = _refused(log, began_at, cursor.fetchone()[0])
    where = ", ".join(f"{count} in {database}" for database, count in refused.most_common())
    return result(f"PostgreSQL refused transactions with 40001: {where or 'none'}", took_effect=bool(refused))


def restore_isolation(configuration: dict[str, Any]) -> dict[str, Any]:
    """Restore PostgreSQL's default isolation; running transactions keep theirs."""
    alter_system(configuration, "RESET default_transaction_isolation")
    local(configuration).journal.remove(restore_isolation, {})
    return result("transactions are isolated as usual")


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
    """The number of the system's aborted transactions since that length of the log, by database."""
    with log.open("rb") as file:
        file.seek(began_at if log.stat().st_size >= began_at else 0)  # it is rotated when it is too long
        text = file.read().decode(errors="replace")
    return Counter(database for user, database in REFUSED.findall(text) if user != administrator)
