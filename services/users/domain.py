"""Who users are and what proves it. Pure: no I/O, no clock, no randomness.

A user proves who they are with a password or an API key, and gets an access token for it. An API key is 256 random
bits, so a plain SHA-256 of it can be stored: unlike a password, it cannot be guessed.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from common.errors import Conflict, Unauthenticated
from common.security.tokens import AUDIENCE, ISSUER

if TYPE_CHECKING:
    from datetime import datetime

API_KEY_PREFIX = "hf_"
API_KEY_RANDOM_BYTES = 32
TOKEN_SECONDS = 3600
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
    """What is kept of an API key: `digest` finds its owner, `hint` lets people tell one key from another."""

    id: str
    user_id: str
    digest: bytes
    hint: str
    created_at: datetime


class UsernameTakenError(Conflict):
    code = "username_taken"


class EmailTakenError(Conflict):
    code = "email_taken"


class InvalidCredentialsError(Unauthenticated):
    """Wrong, and on purpose it does not say what."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("these credentials are not valid")


def api_key_text(random_bytes: bytes) -> str:
    """The key as its owner sees it, once: `hf_` and 43 characters."""
    return API_KEY_PREFIX + urlsafe_b64encode(random_bytes).rstrip(b"=").decode()


def api_key_digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def api_key_hint(text: str) -> str:
    return f"{text[:_HINT_LENGTH]}..."


def token_claims(user: User, *, token_id: str, now: datetime) -> dict[str, Any]:
    """What an access token says (RFC 7519)."""
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
