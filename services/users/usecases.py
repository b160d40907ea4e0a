"""User use cases; the only layer that opens transactions. Replies are plain JSON values."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import NotFound
from common.messaging import outbox
from common.messaging.events import new_id, rfc3339, utc_now
from common.storage.postgresql import autocommit, transaction
from common.web.idempotency import claim
from services.users import domain, models, producers, sign_ins
from services.users.domain import ApiKey, InvalidCredentialsError, Role, User
from services.users.passwords import require_strong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

    from common.messaging.events import MessageContext
    from common.security.service_credentials import ServiceCredentials
    from common.web.idempotency import Reply, RequestKey
    from services.users.passwords import Passwords
    from services.users.signing import Signer


@dataclass(frozen=True, slots=True)
class Context:
    """The resources of these use cases; created once, in `main`."""

    engine: Engine
    passwords: Passwords
    signer: Signer
    contact_credentials: ServiceCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterUser:
    username: str
    email: str
    password: str | None = None
    role: Role = Role.CUSTOMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An API key, or a password with the name or the address that it belongs to."""

    api_key: str | None = None
    username: str | None = None
    email: str | None = None
    password: str = ""


def register_user(
    context: Context,
    command: RegisterUser,
    *,
    network: str,
    message_context: MessageContext,
    request_key: RequestKey | None,
) -> Reply:
    """A new user; without a password they get an API key, which is shown only in this response.

    Raises `WeakPasswordError`, `UsernameTakenError` and `EmailTakenError`.
    """
    if command.password:
        require_strong(command.password, username=command.username, email=command.email)
    # Before the transaction: hashing takes long, and a connection is not held while this process computes.
    password_hash = context.passwords.hash(command.password, client=network) if command.password else None
    with transaction(context.engine) as connection, claim(connection, request_key) as attempt:
        if attempt.reply:
            return attempt.reply
        user = _insert_user(connection, command, password_hash, message_context)
        body = render_user(user)
        if password_hash is None:
            body["api_key"] = _insert_key(connection, user.id)[1]
        return attempt.store(201, body, secrets=("api_key",))


def get_user(context: Context, user_id: str) -> dict[str, Any]:
    with autocommit(context.engine) as connection:
        user = models.get_user(connection, user_id)
    if user is None:
        raise NotFound("there is no such user")
    return render_user(user)


def get_contact(context: Context, user_id: str) -> dict[str, Any]:
    """A user's current name and e-mail address."""
    user = get_user(context, user_id)
    return {name: user[name] for name in ("username", "email")}


def find_contacts(context: Context, user_ids: Sequence[str]) -> dict[str, Any]:
    """The current names and e-mail addresses of those of these users that exist, in no order."""
    with autocommit(context.engine) as connection:
        return {"contacts": models.find_contacts(connection, user_ids)}


def issue_token(context: Context, credentials: Credentials, *, network: str) -> dict[str, Any]:
    """An access token for valid credentials from this network.

    Raises `InvalidCredentialsError`, always after the same time, and `TooManyGuessesError`, in the same way for
    existing and unknown accounts.
    """
    if credentials.api_key:
        user = _user_of_key(context, credentials)
    else:
        user = _user_of_password(context, credentials, network)
    claims = domain.token_claims(user, token_id=new_id(), now=utc_now())
    token = context.signer.sign(claims)
    return {"access_token": token, "token_type": "Bearer", "expires_in": domain.TOKEN_SECONDS}


def create_api_key(context: Context, user_id: str, *, request_key: RequestKey | None) -> Reply:
    """Another key; its text is shown only in this response."""
    with transaction(context.engine) as connection, claim(connection, request_key) as attempt:
        if attempt.reply:
            return attempt.reply
        if models.get_user(connection, user_id) is None:
            raise NotFound("there is no such user")
        key, key_text = _insert_key(connection, user_id)
        return attempt.store(201, render_key(key) | {"api_key": key_text}, secrets=("api_key",))


def list_api_keys(context: Context, user_id: str, *, before: str | None, limit: int) -> Sequence[dict[str, Any]]:
    with autocommit(context.engine) as connection:
        return [render_key(key) for key in models.list_keys(connection, user_id, before=before, limit=limit)]


def delete_api_key(context: Context, user_id: str, key_id: str) -> None:
    """The key gets no more tokens; existing ones stay valid until they expire."""
    with autocommit(context.engine) as connection:
        if not models.delete_key(connection, user_id, key_id):
            raise NotFound("you have no such API key")


def ensure_account(
    engine: Engine, passwords: Passwords, command: RegisterUser, *, message_context: MessageContext
) -> bool:
    """Create the account, or update its password and role; False if nothing changed."""
    password = command.password or ""
    with transaction(engine) as connection:
        user = models.find_user(connection, username=command.username)
        if user is None:
            _insert_user(connection, command, passwords.hash(password), message_context)
            return True
        if user.role == command.role and passwords.verify(user.password_hash, password):
            return False
        models.set_password(connection, user.id, passwords.hash(password), command.role)
        return True


def prune_sign_ins(engine: Engine) -> int:
    """Delete a batch of expired sign-ins; returns how many rows."""
    with autocommit(engine) as connection:
        return sign_ins.prune(connection)


def render_user(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "role": user.role.value,
        "version": user.version,
        "created_at": rfc3339(user.created_at),
    }


def render_key(key: ApiKey) -> dict[str, Any]:
    return {"id": key.id, "hint": key.hint, "created_at": rfc3339(key.created_at)}


def _insert_user(
    connection: Connection, command: RegisterUser, password_hash: str | None, message_context: MessageContext
) -> User:
    user = User(
        id=new_id(),
        username=command.username,
        email=command.email,
        role=command.role,
        password_hash=password_hash,
        version=1,
        created_at=utc_now(),
    )
    models.insert_user(connection, user)
    outbox.add(connection, producers.user_registered(user, message_context))
    return user


def _insert_key(connection: Connection, user_id: str) -> tuple[ApiKey, str]:
    key_text = domain.api_key_text(secrets.token_bytes(domain.API_KEY_RANDOM_BYTES))
    key = ApiKey(
        id=new_id(),
        user_id=user_id,
        digest=domain.api_key_digest(key_text),
        hint=domain.api_key_hint(key_text),
        created_at=utc_now(),
    )
    models.insert_key(connection, key)
    return key, key_text


def _user_of_key(context: Context, credentials: Credentials) -> User:
    with autocommit(context.engine) as connection:
        user = models.find_user_of_key(connection, domain.api_key_digest(credentials.api_key or ""))
    if user is None:
        raise InvalidCredentialsError
    return user


def _user_of_password(context: Context, credentials: Credentials, network: str) -> User:
    with autocommit(context.engine) as connection:
        user = models.find_user(connection, username=credentials.username, email=credentials.email)
        attempt = sign_ins.attempt_of(user, credentials.username or credentials.email or "", network)
        domain.require_guesses_left(sign_ins.guesses(connection, attempt))
    # Without the connection: a slow hash must not block a pooled connection.
    fits = context.passwords.verify(user.password_hash if user else None, credentials.password, client=network)
    with autocommit(context.engine) as connection:
        if user is None or not fits:
            sign_ins.record_failure(connection, attempt)
            raise InvalidCredentialsError
        sign_ins.record_success(connection, attempt)
    return user
