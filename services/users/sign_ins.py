"""Failed sign-ins, and the known networks of an account, stored in the database, so that replicas share them.

An account is a user's id, or a digest of the entered name if there is no such user: both are counted in the same way.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from common.storage.statements import statement
from services.users.domain import SIGN_IN_WINDOW_SECONDS, Guesses

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from services.users.domain import User

SCHEMA_V1 = """
    CREATE TABLE failed_sign_ins (
        account text NOT NULL,
        network text NOT NULL,
        failures integer NOT NULL,
        first_at timestamptz NOT NULL,
        PRIMARY KEY (account, network)
    );
    CREATE INDEX failed_sign_ins_by_time ON failed_sign_ins (first_at);
    CREATE TABLE known_networks (
        account text NOT NULL,
        network text NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (account, network)
    );
    CREATE INDEX known_networks_by_time ON known_networks (last_at);
"""
KNOWN_SECONDS = 90 * 24 * 3600.0
BATCH_ROWS = 2_000
_WINDOW = "clock_timestamp() - make_interval(secs => :window_seconds)"
_GUESSES = statement(
    """
    SELECT coalesce(sum(failures) FILTER (WHERE network = :network), 0) AS here,
           coalesce(sum(failures) FILTER (WHERE network NOT IN (
               SELECT known.network FROM known_networks AS known WHERE known.account = :account
           )), 0) AS from_unknown,
           coalesce(extract(epoch FROM min(first_at) - ({window})), 0) AS seconds_left,
           EXISTS (SELECT FROM known_networks WHERE account = :account AND network = :network) AS is_known
    FROM failed_sign_ins WHERE account = :account AND first_at > {window}
    """,
    window=_WINDOW,
)
_FAILED = statement(
    """
    INSERT INTO failed_sign_ins AS counted (account, network, failures, first_at)
    VALUES (:account, :network, 1, clock_timestamp())
    ON CONFLICT (account, network) DO UPDATE SET
        failures = CASE WHEN counted.first_at > {window} THEN counted.failures + 1 ELSE 1 END,
        first_at = CASE WHEN counted.first_at > {window} THEN counted.first_at ELSE clock_timestamp() END
    """,
    window=_WINDOW,
)
_SUCCEEDED = text("""
    WITH forgotten AS (DELETE FROM failed_sign_ins WHERE account = :account AND network = :network)
    INSERT INTO known_networks (account, network, last_at) VALUES (:account, :network, clock_timestamp())
    ON CONFLICT (account, network) DO UPDATE SET last_at = excluded.last_at
""")
# Not clock_timestamp(): an index cannot use a volatile function as a bound.
_PRUNE = tuple(
    statement(
        """
        DELETE FROM {table} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {table} WHERE {column} < statement_timestamp() - make_interval(secs => :seconds)
            ORDER BY {column} LIMIT :limit
        ))
    """,
        table=table,
        column=column,
    )
    for table, column in (("failed_sign_ins", "first_at"), ("known_networks", "last_at"))
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The account and network of a sign-in."""

    account: str
    network: str


def attempt_of(user: User | None, typed: str, network: str) -> Attempt:
    """`typed` is the name or address as entered."""
    unknown = f"unknown:{hashlib.sha256(typed.lower().encode()).hexdigest()}"
    return Attempt(user.id if user else unknown, network)


def guesses(connection: Connection, attempt: Attempt) -> Guesses:
    values = {**_values(attempt), "window_seconds": SIGN_IN_WINDOW_SECONDS}
    row = connection.execute(_GUESSES, values).one()
    return Guesses(int(row.here), int(row.from_unknown), row.is_known, max(1, round(row.seconds_left)))


def record_failure(connection: Connection, attempt: Attempt) -> None:
    connection.execute(_FAILED, {**_values(attempt), "window_seconds": SIGN_IN_WINDOW_SECONDS})


def record_success(connection: Connection, attempt: Attempt) -> None:
    """Reset the failures from this network, and exempt it from the account's limit from now on."""
    connection.execute(_SUCCEEDED, _values(attempt))


def prune(connection: Connection) -> int:
    """Delete a batch of expired rows; returns how many."""
    ages = (SIGN_IN_WINDOW_SECONDS, KNOWN_SECONDS)
    return sum(
        connection.execute(statement, {"seconds": seconds, "limit": BATCH_ROWS}).rowcount
        for statement, seconds in zip(_PRUNE, ages, strict=True)
    )


def _values(attempt: Attempt) -> dict[str, str]:
    return {"account": attempt.account, "network": attempt.network}
