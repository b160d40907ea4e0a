"""One error tree: the class decides retry, dead letter or HTTP status, here and nowhere else.

| class         | a consumer ...                                                          | HTTP         |
|---------------|-------------------------------------------------------------------------|--------------|
| `Rejected`    | dead-letters the event at once                                          | its `status` |
| `Transient`   | retries later, `RETRY_ATTEMPTS` times, then dead                        | 500          |
| `Contention`  | repeats at once a few times, then as `Transient`                        | 503          |
| `LockTimeout` | repeats at once, then as `Undecided`                                    | 503          |
| `Unavailable` | pauses and parks the message, counts no attempt                         | 503          |
| `Undecided`   | parks only this event, with backoff, counts no attempt, bounded by age | 503          |

Anything unknown counts as `Transient`. `classify` says which of them a library's exception is.
"""

from __future__ import annotations

from typing import Any


class HoldfastError(Exception):
    """The root. `code` is stable and for programs, the message is for people."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.errors = errors


class Rejected(HoldfastError):
    """It can never succeed; a retry is pointless."""

    status = 422
    code = "rejected"


class Malformed(Rejected):
    """The request cannot be read at all."""

    status = 400
    code = "malformed_request"


class Unauthenticated(Rejected):
    """No credentials, or invalid ones."""

    status = 401
    code = "unauthenticated"


class Forbidden(Rejected):
    """The caller is authenticated but not allowed."""

    status = 403
    code = "forbidden"


class NotFound(Rejected):
    """It does not exist, or it belongs to another customer."""

    status = 404
    code = "not_found"


class Conflict(Rejected):
    """It conflicts with the state of the resource."""

    status = 409
    code = "conflict"


class Transient(HoldfastError):
    """It failed, and may succeed later."""

    code = "transient_failure"


class Contention(Transient):
    """Two transactions conflicted (deadlock, serialization failure): the loser retries at once."""

    status = 503
    code = "contention"


class LockTimeout(Contention):
    """Another transaction held a row lock for longer than this one may wait."""

    code = "lock_timeout"


class Unavailable(HoldfastError):
    """A dependency is down. That is an outage, not a failure of the event or the request."""

    status = 503
    code = "unavailable"
    retry_after_seconds = 1


class Undecided(HoldfastError):
    """The dependency answers, but has not decided this one item: retry later. Other items are not affected."""

    status = 503
    code = "undecided"
    retry_after_seconds = 5


# PostgreSQL's SQLSTATE, by code or class (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_SQLSTATES: dict[str, type[HoldfastError]] = {
    "40001": Contention,  # serialization_failure
    "40P01": Contention,  # deadlock_detected
    "08": Unavailable,  # connection exceptions
    "53": Unavailable,  # insufficient resources: disk full, out of memory, too many connections
    "55P03": LockTimeout,  # lock_not_available: lock_timeout passed
    "57014": Unavailable,  # query_canceled: statement_timeout passed while the server is slow
    "57P": Unavailable,  # operator intervention: shutdown, crash, cannot connect now
    "58": Unavailable,  # system errors: I/O
    "25006": Unavailable,  # read_only_sql_transaction: a failover is in progress
    "25P03": Unavailable,  # idle_in_transaction_session_timeout: this process was frozen
}

# MongoDB's own codes, where its exception classes say too little
# (https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml).
_MONGODB_CODES: dict[int, type[HoldfastError]] = {
    13: Unavailable,  # Unauthorized: an operator must repair privileges and passwords; the event is not at fault
    18: Unavailable,  # AuthenticationFailed
    14031: Unavailable,  # OutOfDiskSpace
    112: Contention,  # WriteConflict
    15: Rejected,  # Overflow: nested too deep
    10334: Rejected,  # BSONObjectTooLarge
    17280: Rejected,  # KeyTooLong
}

# By qualified name, so that a process loads only the libraries it uses. The first match in an exception's MRO wins.
_LIBRARIES: dict[str, type[HoldfastError]] = {
    "sqlalchemy.exc.TimeoutError": Unavailable,  # no connection became free in time
    "psycopg2.OperationalError": Unavailable,
    "psycopg2.InterfaceError": Unavailable,  # the server closed the connection
    "pymongo.errors.DuplicateKeyError": Transient,
    "pymongo.errors.ConnectionFailure": Unavailable,  # AutoReconnect, NetworkTimeout, NotPrimary, server selection
    "pymongo.errors.WaitQueueTimeoutError": Unavailable,
    "pymongo.errors.ExecutionTimeout": Unavailable,
    "pymongo.errors.WriteConcernError": Unavailable,  # written, but a majority did not acknowledge in time
    "bson.errors.BSONError": Rejected,  # too large, or not representable in BSON
    "pika.exceptions.AMQPError": Unavailable,
    "amqp.exceptions.RecoverableConnectionError": Unavailable,
    "amqp.exceptions.MessageNacked": Unavailable,  # the queue rejects messages now
    "amqp.exceptions.ContentTooLarge": Rejected,
    "amqp.exceptions.PreconditionFailed": Transient,  # a queue exists with other arguments
    "amqp.exceptions.ChannelError": Unavailable,  # a queue, an exchange or a permission is missing
    "amqp.exceptions.InternalError": Unavailable,  # for example a queue without a majority
    "kombu.exceptions.OperationalError": Unavailable,
    "requests.exceptions.ConnectionError": Unavailable,
    "requests.exceptions.Timeout": Unavailable,
    "stripe._error.APIConnectionError": Unavailable,
    "stripe._error.RateLimitError": Unavailable,
    "stripe._error.APIError": Unavailable,  # 5xx, and malformed bodies
    "stripe._error.IdempotencyError": Transient,  # a reused key; a key in flight is an APIError (409)
    "stripe._error.AuthenticationError": Unavailable,  # an operator must repair a wrong key; the event is not at fault
    "stripe._error.PermissionError": Unavailable,
    "stripe._error.InvalidRequestError": Rejected,
    "stripe._error.CardError": Rejected,
    "stripe.oauth_error.OAuthError": Unavailable,  # how the client parses an {"error": "text"} that is not Stripe's
    "builtins.ConnectionError": Unavailable,
    "builtins.TimeoutError": Unavailable,
}


def classify(error: BaseException) -> type[HoldfastError]:
    """The class of this tree for `error`; `Transient` for anything unknown."""
    if isinstance(error, HoldfastError):
        return next(kind for kind in type(error).__mro__ if kind in _CLASSES)
    driver_error = getattr(error, "orig", None) or error  # SQLAlchemy wraps the driver's exception
    if known := _by_code(driver_error):
        return known
    for kind in (*type(driver_error).__mro__, *type(error).__mro__):
        found = _LIBRARIES.get(f"{kind.__module__}.{kind.__qualname__}")
        if found:
            return found
    return Transient


def _by_code(error: BaseException) -> type[HoldfastError] | None:
    if state := getattr(error, "pgcode", None):
        if state == "57014" and _waited_for_row(error):
            return LockTimeout
        return next((kind for prefix, kind in _SQLSTATES.items() if state.startswith(prefix)), Transient)
    if type(error).__module__ == "pymongo.errors":
        return _MONGODB_CODES.get(getattr(error, "code", None) or 0)
    return None


def _waited_for_row(error: BaseException) -> bool:
    """Whether PostgreSQL reports that it waited for another transaction ("while locking tuple (0,1) in relation
    ...").
    """
    return " tuple " in (getattr(getattr(error, "diag", None), "context", None) or "")


_CLASSES = (Rejected, LockTimeout, Contention, Transient, Unavailable, Undecided, HoldfastError)
