"""The tables of users and their queries. `migrations/` creates them; only this context reads them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from common.storage.statements import statement
from services.users.domain import ApiKey, EmailTakenError, Role, User, UsernameTakenError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

_USER = "id::text AS id, username, email, role, password_hash, version, created_at"
_KEY = "id::text AS id, user_id::text AS user_id, digest, hint, created_at"

_INSERT_USER = text("""
    INSERT INTO users (id, username, email, role, password_hash, version, created_at)
    VALUES (:id, :username, :email, :role, :password_hash, :version, :created_at)
""")
_GET_USER = statement("SELECT {user} FROM users WHERE id = CAST(:id AS uuid)", user=_USER)
_FIND_CONTACTS = text("""
    SELECT id::text AS user_id, username, email FROM users WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_FIND_BY_USERNAME = statement("SELECT {user} FROM users WHERE lower(username) = lower(:value)", user=_USER)
_FIND_BY_EMAIL = statement("SELECT {user} FROM users WHERE lower(email) = lower(:value)", user=_USER)
_FIND_BY_KEY = statement(
    """
    SELECT {user} FROM users WHERE id = (SELECT user_id FROM api_keys WHERE digest = :digest)
    """,
    user=_USER,
)
_SET_PASSWORD = text("UPDATE users SET password_hash = :password_hash, role = :role WHERE id = CAST(:id AS uuid)")
_INSERT_KEY = text("""
    INSERT INTO api_keys (id, user_id, digest, hint, created_at)
    VALUES (:id, :user_id, :digest, :hint, :created_at)
""")
_LIST_KEYS = statement(
    """
    SELECT {key} FROM api_keys
    WHERE user_id = CAST(:user_id AS uuid) AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
    ORDER BY api_keys.id DESC LIMIT :limit
    """,
    key=_KEY,
)
_DELETE_KEY = text("DELETE FROM api_keys WHERE id = CAST(:id AS uuid) AND user_id = CAST(:user_id AS uuid)")

_TAKEN = {
    "users_username": UsernameTakenError("this username is taken"),
    "users_email": EmailTakenError("this email address is taken"),
}


def insert_user(connection: Connection, user: User) -> None:
    """Write a new user. Raises `UsernameTakenError` or `EmailTakenError`."""
    try:
        connection.execute(_INSERT_USER, asdict(user))
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if constraint in _TAKEN:
            raise _TAKEN[constraint] from None
        raise


def get_user(connection: Connection, user_id: str) -> User | None:
    return _one_user(connection, _GET_USER, {"id": user_id})


def find_contacts(connection: Connection, user_ids: Sequence[str]) -> list[dict[str, str]]:
    """Id, name and address of those that exist."""
    return [dict(row) for row in connection.execute(_FIND_CONTACTS, {"ids": list(user_ids)}).mappings()]


def find_user(connection: Connection, *, username: str | None = None, email: str | None = None) -> User | None:
    """By one of the two, in any case of letters."""
    if username is not None:
        return _one_user(connection, _FIND_BY_USERNAME, {"value": username})
    return _one_user(connection, _FIND_BY_EMAIL, {"value": email})


def find_user_of_key(connection: Connection, digest: bytes) -> User | None:
    return _one_user(connection, _FIND_BY_KEY, {"digest": digest})


def set_password(connection: Connection, user_id: str, password_hash: str, role: Role) -> None:
    connection.execute(_SET_PASSWORD, {"id": user_id, "password_hash": password_hash, "role": role})


def insert_key(connection: Connection, key: ApiKey) -> None:
    connection.execute(_INSERT_KEY, asdict(key))


def list_keys(connection: Connection, user_id: str, *, before: str | None, limit: int) -> list[ApiKey]:
    """Newest first."""
    rows = connection.execute(_LIST_KEYS, {"user_id": user_id, "before": before, "limit": limit}).mappings()
    return [ApiKey(**{**row, "digest": bytes(row["digest"])}) for row in rows]


def delete_key(connection: Connection, user_id: str, key_id: str) -> bool:
    """False if this user has no such key."""
    return connection.execute(_DELETE_KEY, {"id": key_id, "user_id": user_id}).rowcount == 1


def _one_user(connection: Connection, query: Any, values: Mapping[str, Any]) -> User | None:
    row = connection.execute(query, values).mappings().one_or_none()
    return User(**{**row, "role": Role(row["role"])}) if row else None
