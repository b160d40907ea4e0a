"""Passwords: Argon2id with limited concurrency.

Hashing uses tens of milliseconds of a core and 19 MiB each time, by design; a few run concurrently, and clients take
turns (`fair_slots.py`), so that a flood of sign-ins blocks neither the service nor the sign-ins of others.
Parameters: OWASP Password Storage Cheat Sheet, Argon2id. Strength: NIST SP 800-63B-4, section 3.1.1.2, by the lists of
common passwords, names and patterns in zxcvbn (https://github.com/dwolfhub/zxcvbn-python).
"""

from __future__ import annotations

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from services.users.domain import MIN_PASSWORD_LENGTH, WeakPasswordError
from services.users.fair_slots import FairSlots

CONCURRENT_HASHES = 2
WAIT_SECONDS = 1.0
LOCAL = "local"  # the client of local calls
SAFE_SCORE = 3  # of 4: more than 10^8 guesses
SCORED_CHARACTERS = 72  # further characters only make it stronger


def require_strong(password: str, *, username: str, email: str) -> None:
    """Raise `WeakPasswordError` for a short or common password, or one with the account's own name."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise WeakPasswordError(f"Shorter than {MIN_PASSWORD_LENGTH} characters.")
    known = [username, email, *email.split("@"), "holdfast"]
    if zxcvbn(password[:SCORED_CHARACTERS], user_inputs=known)["score"] < SAFE_SCORE:
        raise WeakPasswordError("Too easy to guess: it is common, repeats itself, or has your name in it.")


class Passwords:
    """Hashes and verifies, at most `concurrent` at a time; safe to share between threads."""

    def __init__(self, *, concurrent: int = CONCURRENT_HASHES, wait_seconds: float = WAIT_SECONDS) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._slots = FairSlots(concurrent, wait_seconds=wait_seconds)
        self._nobodys_hash = self._hasher.hash(secrets.token_hex())

    def hash(self, password: str, *, client: str = LOCAL) -> str:
        """Hash it in this client's turn. Raises `TooManySignInsError` and `Unavailable`."""
        with self._slots.slot(client):
            return self._hasher.hash(_normalized(password))

    def verify(self, password_hash: str | None, password: str, *, client: str = LOCAL) -> bool:
        """Whether the password matches. Without a hash it never does, and takes the same time."""
        with self._slots.slot(client):
            try:
                self._hasher.verify(
                    self._nobodys_hash if password_hash is None else password_hash, _normalized(password)
                )
            except (VerificationError, InvalidHashError):
                return False
        return password_hash is not None


def _normalized(password: str) -> str:
    """Normalize the text, independent of the keyboard (NIST SP 800-63B-4, section 3.1.1.2)."""
    return unicodedata.normalize("NFC", password)
