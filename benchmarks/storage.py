"""The size of a stack's databases in bytes: tables and indexes, without the write-ahead log."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
from pymongo import MongoClient

if TYPE_CHECKING:
    from infrastructure.local.stack import Stack

SERVER_OWN = {"admin", "config", "local"}
_SIZES = "SELECT sum(pg_database_size(datname)) FROM pg_database WHERE datname <> ALL (%s)"
NOT_CONTEXTS = ["postgres", "template0", "template1", "plain"]  # "plain" is the baseline's


def stored_bytes(stack: Stack) -> dict[str, int]:
    """By server. MongoDB's documents count as they are in memory: on disk they are compressed and lag behind."""
    return {"PostgreSQL": _postgresql(stack), "MongoDB": _mongodb(stack)}


def _postgresql(stack: Stack) -> int:
    url = stack.urls.postgres_administrator.replace("+psycopg2", "")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_SIZES, (NOT_CONTEXTS,))
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def _mongodb(stack: Stack) -> int:
    total = 0
    with MongoClient[dict[str, Any]](stack.urls.mongodb_administrator) as client:
        client.admin.command("fsync")
        for name in client.list_database_names():
            if name not in SERVER_OWN and name not in NOT_CONTEXTS:
                sizes = client[name].command("dbStats")
                total += int(sizes["dataSize"] + sizes["indexSize"])
    return total
