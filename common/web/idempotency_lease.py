"""Idempotency-Key for work in three steps: a transaction, a remote call, a second transaction.

    with transaction(engine) as connection:
        lease = begin(connection, request_key, resource_id=new_id(), seconds=30)
        if lease.reply:
            return lease.reply
        refund = models.find_or_record(connection, lease.resource_id, ...)   # a repetition finds it
    ... the remote call, itself idempotent under lease.resource_id ...
    with transaction(engine) as connection:
        ...
        return lease.finish(connection, 201, body)

The row exists from the first commit on. While the lease is valid, a repetition gets a 409. If its holder died, the next
repetition takes over with the same `resource_id`, checks the progress, and continues. A holder whose lease was taken
over cannot finish: its second transaction is rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from common.errors import Contention
from common.messaging.events import new_id
from common.storage.statements import statement
from common.web.idempotency import Reply, RequestKey, find, in_flight, key_values, response_values

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_BEGIN = text(
    "INSERT INTO idempotency_replies AS kept (scope, key, fingerprint, resource_id, lease_id, leased_until) "
    "VALUES (:scope, :key, :fingerprint, :resource_id, :lease_id, "
    "clock_timestamp() + make_interval(secs => :seconds)) "
    "ON CONFLICT (scope, key) DO UPDATE SET lease_id = EXCLUDED.lease_id, leased_until = EXCLUDED.leased_until "
    "WHERE kept.status IS NULL AND kept.fingerprint = EXCLUDED.fingerprint AND kept.leased_until < clock_timestamp() "
    "RETURNING resource_id"
)
_OWNED = "WHERE scope = :scope AND key = :key AND lease_id = :lease_id AND status IS NULL"
_FINISH = statement(
    "UPDATE idempotency_replies SET status = :status, headers = CAST(:headers AS jsonb), "
    "body = CAST(:body AS jsonb), leased_until = NULL {owned}",
    owned=_OWNED,
)
_HAND_OVER = statement("UPDATE idempotency_replies SET leased_until = clock_timestamp() {owned}", owned=_OWNED)
_RELEASE = statement("DELETE FROM idempotency_replies {owned}", owned=_OWNED)


@dataclass(frozen=True, slots=True)
class RequestLease:
    """The right to work on a request. `resource_id` is the first attempt's, also after a takeover."""

    resource_id: str
    reply: Reply | None = None
    request_key: RequestKey | None = None
    lease_id: str | None = None

    def finish(
        self,
        connection: Connection,
        status: int,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
    ) -> Reply:
        """Store this response and return it. Raises `Contention` if the lease was taken over."""
        if self.request_key is not None:
            self._write(connection, _FINISH, response_values(status, body, headers or {}, secrets))
        return Reply(status, dict(body), dict(headers or {}))

    def hand_over(self, connection: Connection) -> None:
        """Let a repetition take over at once: the outcome is unknown, and this attempt has stopped."""
        if self.request_key is not None:
            self._write(connection, _HAND_OVER, {})

    def release(self, connection: Connection) -> None:
        """Release the key: the attempt certainly had no effect, and a repetition may start again."""
        if self.request_key is not None:
            self._write(connection, _RELEASE, {})

    def _write(self, connection: Connection, statement: Any, values: dict[str, Any]) -> None:
        assert self.request_key is not None  # noqa: S101 - for the type checker
        owned = key_values(self.request_key) | {"lease_id": self.lease_id}
        if connection.execute(statement, values | owned).rowcount == 0:
            raise Contention("the lease on this Idempotency-Key was taken over")


def begin(connection: Connection, request_key: RequestKey | None, *, resource_id: str, seconds: float) -> RequestLease:
    """Lease the key for `seconds`. Check `reply` first: if it is set, the work is done.

    Raises `Conflict` (`idempotency_key_in_flight`) and `Rejected` (`idempotency_key_reused`).
    """
    if request_key is None:
        return RequestLease(resource_id)
    lease_id = new_id()
    values = key_values(request_key) | {"resource_id": resource_id, "lease_id": lease_id, "seconds": seconds}
    first_id = connection.execute(_BEGIN, values).scalar_one_or_none()
    if first_id is not None:
        return RequestLease(first_id, request_key=request_key, lease_id=lease_id)
    reply = find(connection, request_key)
    if reply is None:  # released in between
        raise in_flight()
    return RequestLease(resource_id, reply=reply, request_key=request_key)
