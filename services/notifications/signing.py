"""Signatures by Standard Webhooks 1.0.0: `v1,` and the HMAC-SHA256 of `id.timestamp.body`, in base64.

Several secrets make several signatures, separated by spaces: during a rotation, a receiver with either secret can
verify. Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32


class UnreadableSecretError(Exception):
    """No key of this installation decrypts the secret: a key was removed too early."""


def new_secret() -> str:
    """A new signing secret, shown once to its owner."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret_texts: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a webhook."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    keys = [base64.b64decode(text.removeprefix(PREFIX)) for text in secret_texts]
    signatures = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


class SecretBox:
    """Encrypts secrets at rest: the first key encrypts, each of them decrypts, so keys can be rotated."""

    def __init__(self, keys: str) -> None:
        """`keys` are comma-separated Fernet keys. Raises ValueError."""
        self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises `UnreadableSecretError`."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise UnreadableSecretError("no key of WEBHOOK_SECRET_KEYS decrypts this secret") from None
