"""Passwords: Argon2id, and no more at a time than the machine can bear.

Hashing costs tens of milliseconds of a core and 19 MiB each time, by design; beyond a few at once a caller waits
briefly and is then told `Unavailable`, so that a flood of sign-ins does not stop the service.
Parameters: OWASP Password Storage Cheat Sheet, Argon2id.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from common.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

CONCURRENT_HASHES = 2
WAIT_SECONDS = 0.5


class Passwords:
    """Hashes and verifies, at most `concurrent` at a time; safe to share between threads."""

    def __init__(self, *, concurrent: int = CONCURRENT_HASHES, wait_seconds: float = WAIT_SECONDS) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._places = BoundedSemaphore(concurrent)
        self._wait_seconds = wait_seconds
        self._nobodys_hash = self._hasher.hash(secrets.token_hex())

    def hash(self, password: str) -> str:
        with self._place():
            return self._hasher.hash(password)

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits. Without a hash it never does, and takes as long to say so."""
        with self._place():
            try:
                self._hasher.verify(self._nobodys_hash if password_hash is None else password_hash, password)
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self._wait_seconds):
            raise Unavailable("too many passwords are being checked", code="too_many_sign_ins")
        try:
            yield
        finally:
            self._places.release()
