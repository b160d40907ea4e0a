"""The sandbox's disk: one SQLite file in WAL mode with synchronous=FULL.

Guarantees: `write` is one transaction at a time, synced to disk before it returns, so that after kill -9 at any moment
a request's effect and its idempotency record are both present or both absent. `read` sees a committed state and never
waits for a writer. Every wait is bounded. A second sandbox cannot use the directory: the first one holds a lock on it.
"""

import fcntl
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READERS = 8
WAIT_SECONDS = 10.0
LOCK_SECONDS = 5.0
RETRY_SECONDS = 0.05


class StorageError(Exception):
    """The directory cannot be used, or the ledger is too busy."""


class Storage:
    """The open ledger: one writing connection, a pool of reading ones."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._claim = (directory / "lock").open("w")
        _lock(self._claim.fileno(), directory)
        self._file = directory / "sandbox.sqlite3"
        self._writer = self._connect()
        self._writing = threading.Lock()
        self._writer.executescript(SCHEMA)
        _add_columns(self._writer)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        for _ in range(READERS):
            self._readers.put(self._connect())

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end, rolled back by an exception."""
        if not self._writing.acquire(timeout=WAIT_SECONDS):
            raise StorageError("the ledger stayed busy")
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk may have ended it already
                    self._writer.execute("ROLLBACK")
                raise
        finally:
            self._writing.release()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view of the committed state."""
        try:
            reader = self._readers.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            raise StorageError("no reader came free") from None
        try:
            reader.execute("BEGIN")
            yield reader
        finally:
            if reader.in_transaction:
                reader.execute("ROLLBACK")
            self._readers.put(reader)

    def close(self) -> None:
        """Checkpoint the log into the file and release the directory."""
        for _ in range(READERS):
            self._readers.get(timeout=WAIT_SECONDS).close()
        self._writer.close()
        self._claim.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection


def _add_columns(connection: sqlite3.Connection) -> None:
    """A ledger that an earlier version made lacks these."""
    for table, column, kind in ADDED_COLUMNS:
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def _lock(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS  # a predecessor may still be stopping
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StorageError(f"another sandbox uses {directory}") from None
            time.sleep(RETRY_SECONDS)
        else:
            return


# `held_by` is the fault that keeps it undecided, `outcome` its result afterwards.
ADDED_COLUMNS = (
    ("intents", "held_by", "TEXT"),
    ("intents", "outcome", "TEXT"),
    ("refunds", "held_by", "TEXT"),
    ("refunds", "outcome", "TEXT"),
    ("refunds", "status", "TEXT NOT NULL DEFAULT 'succeeded'"),
)
SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    amount_received INTEGER NOT NULL DEFAULT 0 CHECK (amount_received IN (0, amount)),
    amount_refunded INTEGER NOT NULL DEFAULT 0 CHECK (amount_refunded BETWEEN 0 AND amount_received),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    client_secret TEXT NOT NULL,
    payment_method TEXT,
    latest_charge TEXT,
    canceled_at INTEGER,
    cancellation_reason TEXT,
    return_url TEXT,
    last_payment_error TEXT NOT NULL DEFAULT 'null',
    metadata TEXT NOT NULL,
    details TEXT NOT NULL,
    CHECK ((status = 'succeeded') = (amount_received = amount))
) STRICT;
CREATE INDEX IF NOT EXISTS intents_by_creation ON intents (created);
CREATE INDEX IF NOT EXISTS intents_by_charge ON intents (latest_charge);

CREATE TABLE IF NOT EXISTS refunds (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    payment_intent TEXT NOT NULL REFERENCES intents (id),
    charge TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    reason TEXT,
    metadata TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS refunds_by_intent ON refunds (payment_intent, seq);
CREATE INDEX IF NOT EXISTS refunds_by_charge ON refunds (charge, seq);
CREATE INDEX IF NOT EXISTS refunds_by_creation ON refunds (created);

CREATE TABLE IF NOT EXISTS idempotency_keys (
    key TEXT PRIMARY KEY,
    created INTEGER NOT NULL,
    path TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created);

CREATE TABLE IF NOT EXISTS faults (
    position INTEGER PRIMARY KEY,
    document TEXT NOT NULL
) STRICT;
"""
