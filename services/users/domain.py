"""Users and their credentials. Pure: no I/O, no clock, no randomness.

A user authenticates with a password or an API key, and gets an access token. An API key is 256 random bits, so a plain
SHA-256 of it can be stored: unlike a password, it cannot be guessed.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from common.errors import Conflict, Rejected, Unauthenticated
from common.security.tokens import AUDIENCE, ISSUER

if TYPE_CHECKING:
    from datetime import datetime

API_KEY_PREFIX = "hf_"
API_KEY_RANDOM_BYTES = 32
TOKEN_SECONDS = 3600
# NIST SP 800-63B-4, section 3.1.1: a password that is the only factor has 15 characters or more.
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 15, 128
# Section 3.2.2 there: at most 100 failed attempts on an account. Networks from which the account has signed in before
# are exempt from that limit, so that an attacker cannot lock out the owner; each network has its own limit.
SIGN_IN_WINDOW_SECONDS = 900.0
MAX_FAILURES_PER_NETWORK, MAX_FAILURES_PER_ACCOUNT = 10, 100
# Per request. It keeps a reply small, and prevents a stolen service credential from reading all addresses at once.
MAX_CONTACTS = 16
_HINT_LENGTH = len(API_KEY_PREFIX) + 4


class Role(StrEnum):
    CUSTOMER = "customer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`version` is the number of events that the user has published."""

    id: str
    username: str
    email: str
    role: Role
    password_hash: str | None
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored API key: `digest` finds its owner, `hint` identifies it for people."""

    id: str
    user_id: str
    digest: bytes
    hint: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Guesses:
    """Failed sign-ins of one account in the last window: from this network, and from all unknown ones."""

    here: int
    from_unknown: int
    is_known_network: bool
    seconds_left: int


class TooManyGuessesError(Rejected):
    """Too many failed sign-ins; after `retry_after_seconds` the first of them expires."""

    status = 429
    code = "too_many_failed_sign_ins"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("too many failed sign-ins: wait before you try again")
        self.retry_after_seconds = retry_after_seconds


class WeakPasswordError(Rejected):
    """Too easy to guess."""

    code = "weak_password"

    def __init__(self, reason: str) -> None:
        super().__init__("choose another password", errors={"password": [reason]})


class UsernameTakenError(Conflict):
    code = "username_taken"


class EmailTakenError(Conflict):
    code = "email_taken"


class InvalidCredentialsError(Unauthenticated):
    """Invalid credentials, deliberately without details."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("these credentials are not valid")


def api_key_text(random_bytes: bytes) -> str:
    """The key, shown once to its owner: `hf_` and 43 characters."""
    return API_KEY_PREFIX + urlsafe_b64encode(random_bytes).rstrip(b"=").decode()


def api_key_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def api_key_hint(text: str) -> str:
    return f"{text[:_HINT_LENGTH]}..."


def token_claims(user: User, *, token_id: str, now: datetime) -> dict[str, Any]:
    """The claims of an access token (RFC 7519)."""
    issued_at = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user.id,
        "role": user.role.value,
        "iat": issued_at,
        "exp": issued_at + TOKEN_SECONDS,
        "jti": token_id,
    }


def require_guesses_left(guesses: Guesses) -> None:
    """Raise `TooManyGuessesError` beyond the limits."""
    beyond_account = guesses.from_unknown >= MAX_FAILURES_PER_ACCOUNT and not guesses.is_known_network
    if guesses.here >= MAX_FAILURES_PER_NETWORK or beyond_account:
        raise TooManyGuessesError(guesses.seconds_left)
