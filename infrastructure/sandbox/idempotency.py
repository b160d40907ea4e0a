"""Idempotency keys, as Stripe describes them (docs.stripe.com/api/idempotent_requests).

Guarantees: the first request of a key that began executing fixes its answer, status and body, 500s included; the
record and the effect are one transaction. The same key with other parameters or another address is refused, a
second one while the first is in progress gets 409. Keys live for 24 hours at least. Requests rejected before execution
(bad parameters, 401, 409, 429) are not recorded.

It does not separate keys by API key: the sandbox is one account.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infrastructure.sandbox.errors import ApiError
from infrastructure.sandbox.exchange import Reply, Work
from infrastructure.sandbox.storage import Storage

KEEP_SECONDS = 24 * 3600
PRUNE_EVERY_SECONDS = 600
PRUNE_BATCH = 1_000
KEY_LENGTH = 255
SERVER_ERROR = 500


@dataclass(frozen=True)
class Attempt:
    """One request that changes something."""

    key: str | None
    path: str
    params: dict[str, Any]
    request_id: str

    @property
    def fingerprint(self) -> str:
        written = json.dumps([self.path, self.params], sort_keys=True)
        return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()


class Executor:
    """Runs work once per key."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._under_way: set[str] = set()
        self._guard = threading.Lock()
        self._prune_at = 0.0

    def run(self, attempt: Attempt, work: Work, *, failure: Reply | None = None) -> Reply:
        """Do `work`, or return its stored response; with `failure`, do it and return (and store) that instead."""
        with self._storage.write() as tx:
            self._prune(tx)
            if attempt.key is None:
                done = _perform(tx, work)
                return failure or done
            stored = tx.execute("SELECT * FROM idempotency_keys WHERE key = ?", [attempt.key]).fetchone()
            if stored is not None:
                return _repeat(stored, attempt)
            done = _perform(tx, work)
            reply = failure or done
            _record(tx, attempt, reply)
            return reply

    @contextmanager
    def claim(self, key: str | None) -> Iterator[None]:
        """Hold `key` while its request is in progress; 409 for other requests with it."""
        with self._guard:
            if key in self._under_way:
                raise ApiError(
                    "There is currently another in-progress request using this Idempotent Key (that probably means you"
                    f" submitted twice, and the other request is still going through): {key}. Please try again later.",
                    status=409,
                    code="idempotency_key_in_use",
                )
            if key is not None:
                self._under_way.add(key)
        try:
            yield
        finally:
            with self._guard:
                self._under_way.discard(key or "")

    def _prune(self, tx: sqlite3.Connection) -> None:
        now = time.time()
        if now < self._prune_at:
            return
        pruned = tx.execute(
            "DELETE FROM idempotency_keys WHERE key IN"
            " (SELECT key FROM idempotency_keys WHERE created < ? ORDER BY created LIMIT ?)",
            [int(now) - KEEP_SECONDS, PRUNE_BATCH],
        ).rowcount
        if pruned < PRUNE_BATCH:  # otherwise the next request continues
            self._prune_at = now + PRUNE_EVERY_SECONDS


def read_key(given: str | None) -> str | None:
    """The key of the header, checked."""
    if not given:
        return None
    if len(given) > KEY_LENGTH:
        raise ApiError(f"Idempotency keys can be up to {KEY_LENGTH} characters long.")
    if not (given.isascii() and given.isprintable()):
        raise ApiError("Idempotency keys hold printable ASCII characters only.")
    return given


def _perform(tx: sqlite3.Connection, work: Work) -> Reply:
    tx.execute("SAVEPOINT work")
    try:
        reply = work(tx)
    except ApiError as error:
        tx.execute("ROLLBACK TO work")
        reply = error.reply()
    tx.execute("RELEASE work")
    return reply


def _record(tx: sqlite3.Connection, attempt: Attempt, reply: Reply) -> None:
    tx.execute(
        "INSERT INTO idempotency_keys (key, created, path, fingerprint, request_id, status, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            attempt.key,
            int(time.time()),
            attempt.path,
            attempt.fingerprint,
            attempt.request_id,
            reply.status,
            reply.body,
        ],
    )


def _repeat(stored: sqlite3.Row, attempt: Attempt) -> Reply:
    advice = f"Try using a key other than '{attempt.key}' if you meant to execute a different request."
    if stored["path"] != attempt.path:
        raise ApiError(
            "Keys for idempotent requests can only be used for the same endpoint they were first used for"
            f" ('{attempt.path}' vs '{stored['path']}'). {advice}",
            kind="idempotency_error",
        )
    if stored["fingerprint"] != attempt.fingerprint:
        raise ApiError(
            "Keys for idempotent requests can only be used with the same parameters they were first used with."
            f" {advice}",
            kind="idempotency_error",
        )
    reply = Reply(stored["status"], stored["body"], {"Content-Type": "application/json"})
    if reply.status >= SERVER_ERROR:
        reply = reply.with_headers(Stripe_Should_Retry="false")  # a retry would return the same response
    return reply.with_headers(Idempotent_Replayed="true", Original_Request=stored["request_id"])
