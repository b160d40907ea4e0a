"""The key that access tokens are signed with, and the public keys to verify them with, as a JSON Web Key Set.

One key signs; others may be published with it: the next one, so that all services know it before it signs, and the
previous one, whose tokens have not yet expired. The key id is the key's RFC 7638 thumbprint, so a new key has a new id.
How to rotate a key: docs/signing-keys.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from marshmallow import ValidationError

from common.security.jwks import StaticKeys
from common.security.tokens import ALGORITHM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_PUBLIC_KEYS = 8  # every verifier fetches them all
_RAW_KEY = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes


class Signer:
    """Signs tokens with `private_key`; tokens signed with one of `others` stay valid."""

    def __init__(self, private_key: Ed25519PrivateKey, others: Iterable[Ed25519PublicKey] = ()) -> None:
        self._private_key = private_key
        own = private_key.public_key()
        self.kid = thumbprint(own)
        self._public_keys = {self.kid: own} | {thumbprint(each): each for each in others}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._private_key, algorithm=ALGORITHM, headers={"kid": self.kid})

    def jwks(self) -> dict[str, Any]:
        """The public key set that the other services verify with, the key that signs first."""
        return {
            "keys": [
                _public_jwk(key) | {"kid": kid, "use": "sig", "alg": ALGORITHM}
                for kid, key in self._public_keys.items()
            ]
        }

    def keys(self) -> StaticKeys:
        """The same, for this process."""
        return StaticKeys(self._public_keys)


def read_key(value: str) -> Ed25519PrivateKey:
    """The key in `value`, base64 of an Ed25519 PKCS8 PEM. Raises ValueError without revealing it."""
    try:
        key = load_pem_private_key(b64decode(value, validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("expected the base64 of an unencrypted PKCS8 PEM with an Ed25519 key")  # noqa: TRY004 - a bad value
    return key


def read_public_keys(value: str) -> list[Ed25519PublicKey]:
    """The keys in `value`, each as the member `x` of its JSON Web Key, comma-separated. Raises ValueError."""
    texts = [text.strip() for text in value.split(",")] if value.strip() else []
    if len(texts) > MAX_PUBLIC_KEYS or not all(map(_RAW_KEY.fullmatch, texts)):
        raise ValueError(
            f"expected up to {MAX_PUBLIC_KEYS} comma-separated Ed25519 public keys, each as `x` in its JSON Web Key"
        )
    return [Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(f"{text}=")) for text in texts]


def check_key(value: str) -> None:
    """A settings check for `read_key`."""
    _check(read_key, value)


def check_public_keys(value: str) -> None:
    """A settings check for `read_public_keys`."""
    _check(read_public_keys, value)


def _check(read: Callable[[str], object], value: str) -> None:
    try:
        read(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def thumbprint(key: Ed25519PublicKey) -> str:
    """RFC 7638, with the members that RFC 8037 names for this kind of key."""
    canonical = json.dumps(_public_jwk(key), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
