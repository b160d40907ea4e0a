"""What a native stack uses during a run: the memory of its processes, and the storage of its tables and collections.

Each sample is a record of the history: `{"kind": "resources", "memory": {process: bytes}, "storage": {table: bytes}}`.
What cannot be read during a fault is left out of it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from pymongo.errors import PyMongoError

from chaos_tests.actions.databases import administrator_of, mongodb_administrator_of
from chaos_tests.runners.drivers.driver import local
from chaos_tests.runners.history import History
from chaos_tests.runners.process_tree import process_trees
from infrastructure.local.errors import StackError
from infrastructure.processes import RELATIONAL_CONTEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infrastructure.local.stack import Stack

INTERVAL_SECONDS, LAST_SECONDS = 10.0, 30.0
TABLES = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
SYSTEM_DATABASES = frozenset({"admin", "config", "local"})


@contextmanager
def sampled(configuration: dict[str, Any], history: Path) -> Iterator[None]:
    """Write a sample to the history every ten seconds while the block runs, and one at its end."""
    stop = threading.Event()
    thread = threading.Thread(target=_sample, args=(configuration, history, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LAST_SECONDS)


def memory_bytes(stack: Stack) -> dict[str, int]:
    """The resident memory of each process and its descendants; a page that several share counts once (PSS)."""
    return {name: sum(map(_resident, pids)) for name, pids in process_groups(stack).items()}


def process_groups(stack: Stack) -> dict[str, list[int]]:
    """The pids of what the supervisor started under one name, and everything below it."""
    roots = {each["name"]: each["pid"] for each in stack.status()["processes"] if each["pid"]}
    return dict(zip(roots, process_trees(roots.values()), strict=True))


def storage_bytes(configuration: dict[str, Any]) -> dict[str, int]:
    """The size of each table and collection with its indexes, by database and name."""
    found: dict[str, int] = {}
    for context in RELATIONAL_CONTEXTS:
        with suppress(psycopg2.Error), administrator_of(configuration, context, 5) as cursor:
            cursor.execute(TABLES)
            found |= {f"{context}.{table}": size for table, size in cursor.fetchall()}
    with suppress(PyMongoError), mongodb_administrator_of(configuration) as client:
        for database in set(client.list_database_names()) - SYSTEM_DATABASES:
            for collection in client[database].list_collection_names():
                reply = client[database].command("collStats", collection)
                found[f"{database}.{collection}"] = reply["storageSize"] + reply["totalIndexSize"]
    return found


def _sample(configuration: dict[str, Any], path: Path, stop: threading.Event) -> None:
    history, stack, is_last = History(path), local(configuration).stack, False
    while not is_last:
        is_last = stop.wait(INTERVAL_SECONDS)
        memory: dict[str, int] = {}
        with suppress(StackError, OSError):
            memory = memory_bytes(stack)
        history.append("resources", memory=memory, storage=storage_bytes(configuration))
    history.close()


def _resident(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
