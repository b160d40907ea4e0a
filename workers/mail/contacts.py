"""A customer's current address: read from the users service when a mail is sent, and not stored.

Guarantee: every call is bounded in time and size; any failure is an outage (`Unavailable`), also a rejected credential,
which an operator must repair. No error and no span contains the address.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from marshmallow import ValidationError

from common import strict_json
from common.errors import HoldfastError, Unavailable
from common.observability import tracing
from common.security.service_credentials import check_credentials
from common.setting_checks import HTTP_URL, between
from common.settings import setting
from workers.mail.messages import InvalidAddressError
from workers.mail.schemas import ContactReply

if TYPE_CHECKING:
    from common.resilience.circuit_breaker import Breaker

CONNECT_SECONDS = 1.0
MAX_BYTES = 16 * 1024
NOBODY = "00000000-0000-0000-0000-000000000000"
_REPLY = ContactReply()


@dataclass(frozen=True, kw_only=True)
class ContactSettings:
    """The source of addresses, and its credentials."""

    users_url: str = setting("USERS_URL", check=HTTP_URL, meaning="Base URL of the users service, without the gateway.")
    contact_tokens: str = setting(
        "CONTACT_TOKENS",
        default="",
        check=check_credentials,
        meaning="Service credentials that may read users' e-mail addresses, comma-separated. Empty: none.",
    )
    users_timeout_seconds: float = setting(
        "USERS_TIMEOUT_SECONDS",
        "float",
        default=2.0,
        check=between(0.1, 10),
        meaning="Longest wait for a response of the users service, in seconds.",
    )


class UsersUnavailableError(Unavailable):
    """The users service does not answer."""

    code = "users_unavailable"


@dataclass(frozen=True, slots=True)
class Contact:
    """Its representation does not reveal the customer."""

    username: str = field(repr=False)
    email: str = field(repr=False)


class Contacts:
    """Thread-safe: each call has its own connection."""

    def __init__(self, settings: ContactSettings, breaker: Breaker) -> None:
        self._base, self._seconds = settings.users_url.rstrip("/"), settings.users_timeout_seconds
        self._headers = {"Authorization": f"Bearer {settings.contact_tokens.partition(',')[0]}"}
        self._breaker = breaker

    def get(self, user_id: str) -> Contact | None:
        """None if there is no such user. Raises `UsersUnavailableError` and `InvalidAddressError`."""
        attributes = {"peer.service": "users", "holdfast.operation": "contact"}
        with self._breaker.guard(), tracing.child("users contact", "client", attributes):
            body = self._ask(user_id)
        if body is None:
            return None
        try:
            return Contact(**_REPLY.load(strict_json.loads(body)))
        except (ValidationError, HoldfastError, ValueError, TypeError):
            raise InvalidAddressError("the users service has no valid e-mail address of the customer") from None

    def probe(self) -> None:
        """Probe the service with a user that does not exist. Raises `UsersUnavailableError`."""
        with self._breaker.guard():
            self._ask(NOBODY)

    def _ask(self, user_id: str) -> bytes | None:
        try:
            return self._request(user_id)
        except requests.RequestException as error:
            message = f"the users service does not answer: {type(error).__name__}"
            raise UsersUnavailableError(message) from None

    def _request(self, user_id: str) -> bytes | None:
        deadline = time.monotonic() + 2 * self._seconds
        url = f"{self._base}/internal/v1/users/{user_id}/contact"
        with requests.Session() as session:
            session.trust_env = False  # ignore proxies from the environment for internal calls
            bounds = (min(CONNECT_SECONDS, self._seconds), self._seconds)
            with session.get(url, headers=self._headers, timeout=bounds, stream=True, allow_redirects=False) as reply:
                if reply.status_code == HTTPStatus.NOT_FOUND:
                    return None
                if reply.status_code != HTTPStatus.OK:
                    message = f"the users service answered {reply.status_code}"
                    raise UsersUnavailableError(message)
                body = b""
                for chunk in reply.iter_content(4096):
                    body += chunk
                    if len(body) > MAX_BYTES or time.monotonic() > deadline:
                        raise UsersUnavailableError("the reply of the users service is too large or too slow")
        return body
