"""Sessions of the console: the user, the expiry, and the access token.

A session is identified by a random secret that only the browser's cookie has. MongoDB stores its digest, and the token
encrypted with a key derived from the secret, so the stored data grants no access. A session ends after `IDLE_SECONDS`
without a request by its user, or with its token. While MongoDB is down, sessions that this process has cached stay
valid, because operators need the console then.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pymongo import ASCENDING, IndexModel

from common.errors import Unavailable, classify
from common.observability import logs

if TYPE_CHECKING:
    from common.storage.mongodb import Store

COLLECTION = "sessions"
IDLE_SECONDS = 30 * 60
TOUCH_SECONDS = 60
MAX_REMEMBERED = 1000
_SECRET_BYTES, _NONCE_BYTES = 32, 12
_MAX_SECRET_LENGTH = 128
INDEXES = [IndexModel([("ends_at", ASCENDING)], name="ended", expireAfterSeconds=0)]
_log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in operator. `ends_at` moves with each request, never beyond `expires_at`."""

    id: str
    user: str
    token: str
    csrf: str
    ends_at: datetime
    expires_at: datetime


class Sessions:
    """The sessions of all instances, by the cookie's secret; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, user: str, token: str, *, seconds: float, now: datetime | None = None) -> tuple[str, Session]:
        """Sign in `user` for at most `seconds`; returns the secret for the cookie."""
        now = now or datetime.now(UTC)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        expires_at = now + timedelta(seconds=seconds)
        session = Session(_digest(secret), user, token, _csrf(secret), _end(now, expires_at), expires_at)
        self._remember(session)
        try:
            with self._store.use() as database:
                database[COLLECTION].insert_one(
                    {
                        "_id": session.id,
                        "sealed": _seal(secret, {"user": user, "token": token}),
                        "ends_at": session.ends_at,
                        "expires_at": expires_at,
                    }
                )
        except Exception as error:
            if classify(error) is not Unavailable:
                raise
            _log.warning("a session could not be stored: this process keeps it in memory", error=type(error).__name__)
        return secret, session

    def find(self, secret: str | None, *, is_active: bool, now: datetime | None = None) -> Session | None:
        """The session of a cookie, None if it has ended. Raises MongoDB's errors if it is unknown.

        `is_active` marks an action of the user: automatic refreshes do not extend a session.
        """
        if not secret or len(secret) > _MAX_SECRET_LENGTH:
            return None
        now = now or datetime.now(UTC)
        session = self._read(secret)
        if session is None or session.ends_at <= now:
            return None
        ends_at = _end(now, session.expires_at)
        gained = (ends_at - session.ends_at).total_seconds()
        if is_active and (gained > TOUCH_SECONDS or (gained > 0 and ends_at == session.expires_at)):
            session = replace(session, ends_at=ends_at)
            self._touch(session)
        self._remember(session)
        return session

    def end(self, session: Session) -> None:
        """Sign out. Raises MongoDB's errors if the stored session remains."""
        with self._lock:
            self._remembered.pop(session.id, None)
        with self._store.use() as database:
            database[COLLECTION].delete_one({"_id": session.id})

    def _read(self, secret: str) -> Session | None:
        session_id = _digest(secret)
        try:
            with self._store.use() as database:
                found = database[COLLECTION].find_one({"_id": session_id})
        except Exception as error:
            remembered = self._remembered.get(session_id)
            if classify(error) is not Unavailable or remembered is None:
                raise
            return remembered
        opened = _open(secret, found["sealed"]) if found else None
        if found is None or opened is None:
            return None
        return Session(
            session_id, opened["user"], opened["token"], _csrf(secret), found["ends_at"], found["expires_at"]
        )

    def _touch(self, session: Session) -> None:
        try:
            with self._store.use() as database:
                database[COLLECTION].update_one({"_id": session.id}, {"$max": {"ends_at": session.ends_at}})
        except Exception as error:
            if classify(error) is not Unavailable:
                raise

    def _remember(self, session: Session) -> None:
        with self._lock:
            self._remembered[session.id] = session
            self._remembered.move_to_end(session.id)
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)


def _end(now: datetime, expires_at: datetime) -> datetime:
    return min(now + timedelta(seconds=IDLE_SECONDS), expires_at)


def _digest(secret: str) -> str:
    return hashlib.sha256(b"id:" + secret.encode()).hexdigest()


def _csrf(secret: str) -> str:
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def _cipher(secret: str) -> AESGCM:
    return AESGCM(hmac.new(secret.encode(), b"seal", hashlib.sha256).digest())


def _seal(secret: str, values: dict[str, str]) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(secret).encrypt(nonce, json.dumps(values).encode(), None)


def _open(secret: str, sealed: bytes) -> dict[str, Any] | None:
    try:
        opened: dict[str, Any] = json.loads(_cipher(secret).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None))
    except InvalidTag:
        return None
    return opened
