"""Idempotency-Key: stores the first response to a POST in the transaction of its effect and replays it.

    with transaction(engine) as connection, claim(connection, request_key) as attempt:
        if attempt.reply:
            return attempt.reply
        ...
        return attempt.store(201, body)

Response and effect commit together or not at all. Of two concurrent requests with the same key, the second gets a 409
at once. A rejection is not stored: a repetition is evaluated again, and its result differs only if the state has
changed. A request without a key (None) is simply executed. For work with a remote call between two transactions see
`common.web.idempotency_lease`.
Sources: draft-ietf-httpapi-idempotency-key-header; https://docs.stripe.com/api/idempotent_requests
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from common.errors import Conflict, Contention, Rejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# `status` is NULL while a lease is held (see idempotency_lease) until `leased_until`.
SCHEMA_V1 = """
CREATE TABLE idempotency_replies (
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    status smallint,
    headers jsonb NOT NULL DEFAULT '{}',
    body jsonb,
    resource_id text,
    lease_id uuid,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, key)
)
"""
INDEX_V1 = "CREATE INDEX idempotency_replies_created_at ON idempotency_replies USING brin (created_at)"
# Like the inbox: pruning makes BRIN ineffective.
INDEXES_V2 = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS idempotency_replies_by_time ON idempotency_replies (created_at)",
    "DROP INDEX CONCURRENTLY IF EXISTS idempotency_replies_created_at",
)

_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_FIND = text("SELECT fingerprint, status, headers, body FROM idempotency_replies WHERE scope = :scope AND key = :key")
_INSERT = text(
    "INSERT INTO idempotency_replies (scope, key, fingerprint, status, headers, body) "
    "VALUES (:scope, :key, :fingerprint, :status, CAST(:headers AS jsonb), CAST(:body AS jsonb)) "
    "ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A key, in the scope of its caller and route, and the fingerprint of its request."""

    scope: str
    key: str
    fingerprint: str

    @property
    def lock(self) -> int:
        digest = hashlib.sha256(f"{self.scope}\x00{self.key}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of a use case: a status and plain JSON. `replayed` if it is a stored one."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    replayed: bool = False


def fingerprint(method: str, path: str, body: Any, *, secrets: Collection[str] = ()) -> str:
    """The same for the same request, in any order of its fields.

    Omit `secrets`: a stored plain hash of a password would help to guess it.
    """
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in secrets}
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class Claim:
    """One attempt at the request of a key. `reply` is the stored response, if any."""

    def __init__(self, connection: Connection, request_key: RequestKey | None, reply: Reply | None) -> None:
        self._connection = connection
        self._request_key = request_key
        self.reply = reply
        self.settled = reply is not None

    def store(
        self,
        status: int,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
    ) -> Reply:
        """Store this response for repetitions and return it. Fields in `secrets` are returned now, and not stored."""
        self.settled = True
        if self._request_key is not None:
            values = response_values(status, body, headers or {}, secrets) | key_values(self._request_key)
            if self._connection.execute(_INSERT, values).rowcount == 0:
                raise Contention("another request has used the key")  # the next try finds its response
        return Reply(status, dict(body), dict(headers or {}))


@contextmanager
def claim(connection: Connection, request_key: RequestKey | None) -> Iterator[Claim]:
    """Claim the key until the transaction of `connection` ends.

    Raises `Conflict` (`idempotency_key_in_flight`) if another request holds it, and `Rejected`
    (`idempotency_key_reused`) if it belongs to a different request.
    """
    reply = None
    if request_key is not None:
        if not connection.execute(_LOCK, {"lock": request_key.lock}).scalar_one():
            raise in_flight()
        reply = find(connection, request_key)
    attempt = Claim(connection, request_key, reply)
    yield attempt
    if not attempt.settled:
        raise RuntimeError("a claimed key must end with store(): without a stored response it protects nothing")


def find(connection: Connection, request_key: RequestKey) -> Reply | None:
    """The response stored for the key, None if the key is new. Raises like `claim`."""
    row = connection.execute(_FIND, {"scope": request_key.scope, "key": request_key.key}).one_or_none()
    if row is None:
        return None
    if row.fingerprint != request_key.fingerprint:
        raise Rejected("this Idempotency-Key was used with a different request", code="idempotency_key_reused")
    if row.status is None:
        raise in_flight()
    return Reply(row.status, row.body, row.headers, replayed=True)


def key_values(request_key: RequestKey) -> dict[str, Any]:
    return {"scope": request_key.scope, "key": request_key.key, "fingerprint": request_key.fingerprint}


def response_values(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str], secrets: Collection[str]
) -> dict[str, Any]:
    stored = {name: value for name, value in body.items() if name not in secrets}
    return {"status": status, "headers": json.dumps(dict(headers)), "body": json.dumps(stored)}


def in_flight() -> Conflict:
    return Conflict(
        "a request with this Idempotency-Key is being worked on: repeat it in a moment",
        code="idempotency_key_in_flight",
    )
