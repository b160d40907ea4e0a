"""The public keys that tokens are verified with: JSON Web Keys (RFC 7517) of the users service.

`RemoteKeys` fetches them when first needed, again for an unknown key id (at most every few seconds), and periodically
in the background. While the users service is down the cached keys stay in use; only a process without keys raises
`Unavailable`. A revoked key is trusted until the next successful fetch.
"""

from __future__ import annotations

import base64
import threading
import time
from http import HTTPStatus
from typing import Any, Protocol

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common import strict_json
from common.errors import HoldfastError, Unauthenticated, Unavailable
from common.observability import logs

REFRESH_SECONDS = 300.0
UNKNOWN_KEY_SECONDS = 5.0
FAILURE_SECONDS = 1.0
_TIMEOUT_SECONDS = (0.5, 1.0)  # to connect, to read
_MAX_BYTES = 64 * 1024
_log = logs.logger(__name__)


class KeySource(Protocol):
    """Where a verifier finds its keys."""

    def key(self, kid: str) -> Ed25519PublicKey:
        """The key named `kid`; raises `Unauthenticated` if there is none, `Unavailable` if the keys cannot be
        fetched.
        """


class StaticKeys:
    """Local keys: the users service's own, or a test's."""

    def __init__(self, keys: dict[str, Ed25519PublicKey]) -> None:
        self._keys = keys

    def key(self, kid: str) -> Ed25519PublicKey:
        if kid not in self._keys:
            raise unknown_key()
        return self._keys[kid]


class RemoteKeys:
    """Keys fetched from `url`; safe to share between threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._lock = threading.Lock()
        self._tried_at = self._fetched_at = -REFRESH_SECONDS
        self._failed = False
        self._session = requests.Session()
        self._session.trust_env = False  # ignore proxies from the environment for internal calls

    def key(self, kid: str) -> Ed25519PublicKey:
        found = self._keys.get(kid)
        if found is None:
            return self._unknown(kid)
        if self._is_stale() and not self._lock.locked():
            threading.Thread(target=self._fetch, args=(UNKNOWN_KEY_SECONDS,), daemon=True).start()
        return found

    def _is_stale(self) -> bool:
        """Whether the keys are stale and no fetch was tried just now; checked on every request."""
        now = time.monotonic()
        return now - self._fetched_at > REFRESH_SECONDS and now - self._tried_at > UNKNOWN_KEY_SECONDS

    def _unknown(self, kid: str) -> Ed25519PublicKey:
        self._fetch(UNKNOWN_KEY_SECONDS if self._keys and not self._failed else FAILURE_SECONDS)
        if found := self._keys.get(kid):
            return found
        if self._failed:  # it may be a new key that cannot be fetched
            raise Unavailable("the public keys of the users service are unavailable")
        raise unknown_key()

    def _fetch(self, pause_seconds: float) -> None:
        with self._lock:
            if time.monotonic() - self._tried_at < pause_seconds:
                return  # another thread has just fetched them
            try:
                self._keys = self._download()
            except (requests.RequestException, HoldfastError, ValueError) as error:
                self._failed = True
                _log.warning("cannot fetch the token keys", error=f"{type(error).__name__}: {error}")
            else:
                self._failed, self._fetched_at = False, time.monotonic()
            self._tried_at = time.monotonic()

    def _download(self) -> dict[str, Ed25519PublicKey]:
        deadline = time.monotonic() + sum(_TIMEOUT_SECONDS)
        body = b""
        with self._session.get(self._url, timeout=_TIMEOUT_SECONDS, stream=True, allow_redirects=False) as reply:
            if reply.status_code != HTTPStatus.OK:  # also a redirect: its body is not from the users service
                message = f"the request for the key set returned status {reply.status_code}"
                raise ValueError(message)
            for chunk in reply.iter_content(4096):
                body += chunk
                if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                    raise ValueError("the key set is too large, or took too long")
        keys = parse(strict_json.loads(body))
        if not keys:
            raise ValueError("the key set contains no Ed25519 key")
        return keys


def parse(document: Any) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWK set, by kid; other keys are ignored. Raises ValueError for a malformed key set."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - a bad document, not a bad call
    keys = {}
    for jwk in document["keys"]:
        if isinstance(jwk, dict) and (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519"):
            x = str(jwk.get("x", ""))
            raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
            keys[str(jwk.get("kid"))] = Ed25519PublicKey.from_public_bytes(raw)
    return keys


def unknown_key() -> Unauthenticated:
    return Unauthenticated("the token is signed with an unknown key", code="invalid_token")
