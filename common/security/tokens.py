"""Access tokens: JSON Web Tokens signed with Ed25519 by the users service, verified here offline.

Only EdDSA is accepted, whatever the token's header names. A token is valid until it expires: there is no revocation
list, so tokens live for an hour. A verified token is cached until then, so that its signature is checked once; it is
valid only as long as its key.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from common.errors import Unauthenticated

if TYPE_CHECKING:
    from common.security.jwks import KeySource

ALGORITHM = "EdDSA"
ISSUER = AUDIENCE = "holdfast"
ROLES = ("customer", "operator")
MAX_TOKEN_BYTES = 4096
LEEWAY_SECONDS = 5
_MAX_KID_LENGTH = 128
_MAX_CACHED = 4096
_REQUIRED = ["iss", "aud", "sub", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated caller."""

    id: str
    role: str

    @property
    def is_operator(self) -> bool:
        return self.role == "operator"

    @property
    def viewer_id(self) -> str | None:
        """The owner whose resources the caller may see: the caller; None for an operator, who sees all."""
        return None if self.is_operator else self.id


class Verifier:
    """Returns the caller of a token, or raises `Unauthenticated` (or `Unavailable` without a key)."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys
        self._cache: OrderedDict[bytes, tuple[Caller, float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str) -> Caller:
        return self.verify_until(token)[0]

    def verify_until(self, token: str) -> tuple[Caller, float]:
        """The caller, and the time (seconds since 1970) at which the token expires."""
        if not token.isascii() or len(token) > MAX_TOKEN_BYTES:
            raise _invalid("the token is too long or contains invalid characters")
        digest = hashlib.sha256(token.encode()).digest()
        known = self._cache.get(digest)
        if known is not None and time.time() < known[1]:
            self._keys.key(known[2])  # raises if it was revoked
            return known[0], known[1]
        verified = self._check(token)
        with self._lock:
            self._cache[digest] = verified
            if len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return verified[0], verified[1]

    def _check(self, token: str) -> tuple[Caller, float, str]:
        try:
            kid = _kid(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                self._keys.key(kid),
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired", code="token_expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise _invalid("the token is invalid: its signature, issuer, audience or claims do not match") from None
        return _caller(claims), float(claims["exp"]) + LEEWAY_SECONDS, kid


def _kid(header: dict[str, Any]) -> str:
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(kid, str) or len(kid) > _MAX_KID_LENGTH:
        raise _invalid("the token is not signed with EdDSA by a named key")
    return kid


def _caller(claims: dict[str, Any]) -> Caller:
    if claims.get("role") not in ROLES:
        raise _invalid("the token has no valid role")
    return Caller(id=claims["sub"], role=claims["role"])


def _invalid(message: str) -> Unauthenticated:
    return Unauthenticated(message, code="invalid_token")
