"""`python -m benchmarks.one_order`: the statements, messages and commands that one order costs.

Starts its own stack in .holdfast-bench-one-order, lets PostgreSQL log every statement, and places orders one by
one. A statement is one round trip: psycopg2 sends each alone, BEGIN and COMMIT too. What the idle system does in the
same time is subtracted, so a figure is what an order adds; idle polls of sweeps and relays do not count.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
import requests
from pymongo import MongoClient

from benchmarks.throwaway_stack import throwaway_stack
from holdfast.bench import load
from holdfast.bench.orders import Shop
from holdfast.target import target_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.local.stack import Stack

HOME = ".holdfast-bench-one-order"
BETWEEN_ORDERS_SECONDS = 0.5
STATISTICS_SECONDS = 7.0  # the maximum age of RabbitMQ's figures
SHOWN_FROM = 0.3
BROKER_TIMEOUT_SECONDS = 10
_RECORD = re.compile(r"^\S+ \S+ \S+ \[\d+\] (\S+) LOG:  statement: (.*(?:\n\t.*)*)", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=40)
    parser.add_argument("--port-base", type=int, default=8550)
    arguments = parser.parse_args()
    with throwaway_stack(HOME, arguments.port_base) as stack:
        shop, url = Shop(target_of(stack)), stack.urls.http("gateway")
        shop.settle()
        seconds = arguments.orders * BETWEEN_ORDERS_SECONDS
        with _every_statement_logged(stack):
            before = _counts(stack)
            time.sleep(seconds)
            idle = _counts(stack)
            for _ in range(arguments.orders):
                load.run(url, lambda: shop.request(url), connections=1, seconds=1, requests=1)
                time.sleep(BETWEEN_ORDERS_SECONDS)
            after = _counts(stack)
    added = {name: (after[name] - idle[name] - (idle[name] - before[name])) / arguments.orders for name in after}
    _show(added)


def _show(added: dict[tuple[str, str], float]) -> None:
    totals: dict[str, float] = {}
    for (where, _what), count in added.items():
        totals[where] = totals.get(where, 0.0) + count
    print("| where | what | for one order |\n|---|---|--:|")
    for where in sorted(totals):
        print(f"| **{where}** | | **{totals[where]:.1f}** |")
        shown = sorted(((count, what) for (place, what), count in added.items() if place == where), reverse=True)
        for count, what in shown:
            if count >= SHOWN_FROM:
                print(f"| | {what} | {count:.1f} |")
    statements = sum(count for where, count in totals.items() if where.startswith("PostgreSQL"))
    print(f"| **PostgreSQL, all** | | **{statements:.1f}** |")


def _counts(stack: Stack) -> Counter[tuple[str, str]]:
    """The counts so far: {(server, operation): count}."""
    time.sleep(STATISTICS_SECONDS)
    log = stack.home.log("postgres").read_text(encoding="utf-8", errors="replace")
    found = Counter((f"PostgreSQL, {who}", _shape(statement)) for who, statement in _RECORD.findall(log))
    overview = requests.get(f"{stack.urls.rabbitmq_management}/api/overview", timeout=BROKER_TIMEOUT_SECONDS)
    overview.raise_for_status()
    for name, value in overview.json()["message_stats"].items():
        if name in {"publish", "confirm", "deliver", "ack", "redeliver"}:
            found["RabbitMQ", name] = value
    with MongoClient[dict[str, Any]](stack.urls.mongodb_administrator) as client:
        for name, value in client.admin.command("serverStatus")["opcounters"].items():
            if isinstance(value, int):
                found["MongoDB", name] = value
    return found


def _shape(statement: str) -> str:
    """The statement without its values, truncated."""
    words = re.sub(r"'(?:[^']|'')*'|\b\d[\w.]*", "?", " ".join(statement.split()))
    return words[:110].replace("|", "\\|")


@contextmanager
def _every_statement_logged(stack: Stack) -> Iterator[None]:
    _administer(stack, "ALTER SYSTEM SET log_statement = 'all'")
    try:
        yield
    finally:
        _administer(stack, "ALTER SYSTEM RESET log_statement")


def _administer(stack: Stack, statement: str) -> None:
    with closing(psycopg2.connect(stack.urls.postgres_administrator.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.execute("SELECT pg_reload_conf()")


if __name__ == "__main__":
    main()
