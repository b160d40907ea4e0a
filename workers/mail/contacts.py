"""Customers' current addresses: read from the users service when mails are sent, and not stored.

Guarantees: every call is bounded in time and size; any failure is an outage (`Unavailable`), also a rejected
credential, which an operator must repair; a closed keep-alive connection is not an outage. No error or span contains
the address.
"""

from __future__ import annotations

import json
import select
import ssl
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import certifi
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
    import socket
    from collections.abc import Collection

    from common.resilience.circuit_breaker import Breaker

CONNECT_SECONDS = 1.0
KEPT_SECONDS = 30.0  # shorter than the idle time-outs of the service and of firewalls
MAX_BYTES = 16 * 1024
MAX_USERS = 16  # per request, the service's own limit
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


@dataclass(frozen=True, slots=True)
class _Request:
    """Reads only, so it may be repeated. With a body it is a POST."""

    path: str
    body: bytes | None = None


class Contacts:
    """Thread-safe: each call has its own connection, a kept one of an earlier call if there is one."""

    def __init__(self, settings: ContactSettings, breaker: Breaker) -> None:
        self._url, self._seconds = urlsplit(settings.users_url.rstrip("/")), settings.users_timeout_seconds
        self._headers = {"Authorization": f"Bearer {settings.contact_tokens.partition(',')[0]}"}
        self._breaker = breaker
        self._tls = ssl.create_default_context(cafile=certifi.where()) if self._url.scheme == "https" else None
        self._kept: deque[tuple[float, HTTPConnection]] = (
            deque()
        )  # each with the time since it is idle; the last used at the end

    def get(self, user_id: str) -> Contact | None:
        """None if there is no such user. Raises `UsersUnavailableError` and `InvalidAddressError`."""
        attributes = {"peer.service": "users", "holdfast.operation": "contact"}
        with self._breaker.guard(), tracing.child("users contact", "client", attributes):
            body = self._ask(_path(user_id))
        if body is None:
            return None
        try:
            return Contact(**_REPLY.load(strict_json.loads(body)))
        except (ValidationError, HoldfastError, ValueError, TypeError):
            raise InvalidAddressError("the users service has no valid e-mail address of the customer") from None

    def get_several(self, user_ids: Collection[str]) -> dict[str, Contact | None]:
        """The contacts of at most `MAX_USERS` users, by one request; None if there is no such user.

        `get` decides about a user that is missing here: the reply is malformed, or the service is an earlier version
        without this route. Raises `UsersUnavailableError`.
        """
        ids = sorted(set(user_ids))
        attributes = {"peer.service": "users", "holdfast.operation": "contacts"}
        with self._breaker.guard(), tracing.child("users contacts", "client", attributes):
            reply = self._ask("/internal/v1/contacts", json.dumps({"user_ids": ids}).encode())
        return _read_several(reply, ids) if reply is not None else {}

    def probe(self) -> None:
        """Probe the service with a user that does not exist. Raises `UsersUnavailableError`."""
        with self._breaker.guard():
            self._ask(_path(NOBODY))

    def close(self) -> None:
        """Close the connections that no call uses."""
        with suppress(IndexError):
            while True:
                self._kept.pop()[1].close()

    def _ask(self, path: str, body: bytes | None = None) -> bytes | None:
        """None: not found."""
        try:
            return self._request(_Request(self._url.path + path, body))
        except (OSError, HTTPException, ValueError) as error:
            self.close()  # their server may be gone as well, without a FIN
            message = f"the users service does not answer: {type(error).__name__}"
            raise UsersUnavailableError(message) from None

    def _request(self, request: _Request) -> bytes | None:
        deadline = time.monotonic() + 2 * self._seconds
        connection, reply = self._send(request)
        is_read = False
        try:
            body = _read(reply, deadline)
            is_read = True
        finally:
            reply.close()
            if is_read and connection.sock is not None:
                self._kept.append((time.monotonic(), connection))
            else:  # the rest of this reply must not become the reply to the next request
                connection.close()
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        if reply.status != HTTPStatus.OK:
            message = f"the users service answered {reply.status}"
            raise UsersUnavailableError(message)
        return body

    def _send(self, request: _Request) -> tuple[HTTPConnection, HTTPResponse]:
        """Return the start of the reply. If a kept connection was closed, retry once with a new one."""
        if (kept := self._take_kept()) is not None:
            with suppress(ConnectionError):
                return kept, self._exchange(kept, request)
            self.close()  # the others have been idle for longer
        fresh = self._connect()
        return fresh, self._exchange(fresh, request)

    def _exchange(self, connection: HTTPConnection, request: _Request) -> HTTPResponse:
        try:
            if request.body is None:
                connection.request("GET", request.path, headers=self._headers)
            else:
                headers = self._headers | {"Content-Type": "application/json"}
                connection.request("POST", request.path, request.body, headers)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _connect(self) -> HTTPConnection:
        host, port, seconds = self._url.hostname or "", self._url.port, min(CONNECT_SECONDS, self._seconds)
        if self._tls is not None:
            connection: HTTPConnection = HTTPSConnection(host, port, timeout=seconds, context=self._tls)
        else:
            connection = HTTPConnection(host, port, timeout=seconds)
        connection.connect()
        connection.sock.settimeout(self._seconds)
        return connection

    def _take_kept(self) -> HTTPConnection | None:
        try:
            since, connection = self._kept.pop()
        except IndexError:
            return None
        # Readable: it was closed, or it has bytes that do not belong to the next reply.
        if time.monotonic() - since >= KEPT_SECONDS or _is_readable(connection.sock):
            connection.close()
            self.close()
            return None
        return connection


def _path(user_id: str) -> str:
    return f"/internal/v1/users/{user_id}/contact"


def _read_several(body: bytes, ids: Collection[str]) -> dict[str, Contact | None]:
    """Return the valid contacts; none if the reply is malformed or about other users."""
    found: dict[str, Contact | None] = dict.fromkeys(ids)
    try:
        entries = {entry["user_id"]: entry for entry in strict_json.loads(body)["contacts"]}
    except (HoldfastError, ValueError, TypeError, KeyError):
        return {}
    if not entries.keys() <= found.keys():
        return {}
    for user_id, entry in entries.items():
        try:
            found[user_id] = Contact(**_REPLY.load(entry))
        except (ValidationError, TypeError):
            del found[user_id]
    return found


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _read(reply: HTTPResponse, deadline: float) -> bytes:
    body = b""
    while chunk := reply.read1(4096):
        body += chunk
        if len(body) > MAX_BYTES or time.monotonic() > deadline:
            raise UsersUnavailableError("the reply of the users service is too large or too slow")
    if reply.length:
        raise UsersUnavailableError("the reply of the users service is incomplete")
    return body
