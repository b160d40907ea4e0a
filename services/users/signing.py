"""The key that access tokens are signed with, and its public half as a JSON Web Key Set.

The key id is the key's RFC 7638 thumbprint, so a new key gets a new id by itself.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from marshmallow import ValidationError

from common.jwks import StaticKeys
from common.tokens import ALGORITHM


class Signer:
    """Signs tokens with `private_key`."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._public_key = private_key.public_key()
        self.kid = thumbprint(self._public_key)

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._private_key, algorithm=ALGORITHM, headers={"kid": self.kid})

    def jwks(self) -> dict[str, Any]:
        """The public key set that the other services verify with."""
        return {"keys": [_public_jwk(self._public_key) | {"kid": self.kid, "use": "sig", "alg": ALGORITHM}]}

    def keys(self) -> StaticKeys:
        """The same, for this process."""
        return StaticKeys({self.kid: self._public_key})


def read_key(value: str) -> Ed25519PrivateKey:
    """The key in `value`, base64 of an Ed25519 PKCS8 PEM. Raises ValueError without showing any of it."""
    try:
        key = load_pem_private_key(b64decode(value, validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("expected the base64 of an unencrypted PKCS8 PEM with an Ed25519 key")  # noqa: TRY004 - a bad value
    return key


def check_key(value: str) -> None:
    """A settings check for `read_key`."""
    try:
        read_key(value)
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
