"""HTTP requests to URLs of customers: only to checked addresses, bounded in time and size.

Guarantee: the name is resolved once, every address it resolves to is checked, and the connection goes to an address
that was checked; TLS verifies the certificate for the name. Redirects are not followed, proxies from the environment
are not used, and a call ends by its deadline for any behaviour of the server after the name is resolved.
Not promised: a limit on the resolver, which has its own time-outs (resolv.conf).
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError

from common.web.public_addresses import is_allowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from common.web.public_addresses import Networks

WATCH_SECONDS = 0.25
KEPT_CONNECTIONS = 32  # to one host
_local = threading.local()


class AddressRefusedError(OSError):
    """The host is, or resolves to, an address that may not be connected to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response: its status and the first part of its body, or an `error` instead."""

    status: int | None
    error: str
    excerpt: bytes
    headers: Mapping[str, str]
    seconds: float


def resolve(host: str, port: int, allowed: Networks) -> list[tuple[Any, ...]]:
    """The socket addresses of a host as `getaddrinfo` lists them. One disallowed address rejects all of them."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    for *_, address in found:
        if not is_allowed(str(address[0]), allowed):
            message = f"{host} resolves to {address[0]}, which is not a public address"
            raise AddressRefusedError(message)
    return found


class GuardedClient:
    """Sends requests; safe to share between threads. `close` stops its watchdog."""

    def __init__(self, allowed: Networks, *, seconds: float, max_answer_bytes: int, ca_file: str | None = None) -> None:
        self._seconds, self._max_answer_bytes = seconds, max_answer_bytes
        self._pool = urllib3.PoolManager(
            num_pools=64,
            maxsize=KEPT_CONNECTIONS,
            cert_reqs="CERT_REQUIRED",
            ca_certs=ca_file or certifi.where(),
            retries=False,
        )
        self._pool.pool_classes_by_scheme = {"http": _plain_pool(allowed), "https": _tls_pool(allowed)}
        self._watch = _Watch()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body` and return the response; a network exception is an `Answer` with an error."""
        begun = time.monotonic()
        try:
            with self._watch.until(begun + self._seconds):
                status, excerpt, found = self._exchange_at_last(url, body, headers, deadline=begun + self._seconds)
        except (HTTPError, OSError, UnicodeError, ValueError) as error:
            return Answer(None, _describe(error), b"", {}, time.monotonic() - begun)
        return Answer(status, "", excerpt, found, time.monotonic() - begun)

    def close(self) -> None:
        self._watch.close()
        self._pool.clear()

    def _exchange_at_last(
        self, url: str, body: bytes, headers: Mapping[str, str], *, deadline: float
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """A server may close a kept-alive connection at any time: this is not a failure, and a new one is tried."""
        try:
            return self._exchange(url, body, headers, deadline=deadline)
        except HTTPError as error:
            was_closed = any(isinstance(each, ConnectionError) for each in _causes(error))
            if not (_local.is_kept and was_closed) or time.monotonic() >= deadline:
                raise
        return self._exchange(url, body, headers, deadline=deadline)

    def _exchange(
        self, url: str, body: bytes, headers: Mapping[str, str], *, deadline: float
    ) -> tuple[int, bytes, Mapping[str, str]]:
        reply = self._pool.request(
            "POST",
            url,
            body=body,
            headers=dict(headers),
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(total=self._seconds),
        )
        try:
            if time.monotonic() >= deadline:  # closed by the watchdog, which looks like the end of the headers
                raise TimeoutError("no complete response in time")
            return reply.status, self._read(reply), reply.headers
        finally:
            reply.close()

    def _read(self, reply: urllib3.BaseHTTPResponse) -> bytes:
        """The first part of the body. Errors are ignored here: the status has arrived."""
        excerpt = b""
        with contextlib.suppress(HTTPError, OSError, ValueError):
            excerpt = reply.read(self._max_answer_bytes)
            if not reply.read(1):  # fully read: the connection can be reused
                reply.release_conn()
        return excerpt


class _Watch:
    """Shuts down the connections of calls past their deadline: each received byte resets a socket's own time-out."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[float, list[Any]]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="deadlines", daemon=True).start()

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        connections: list[Any] = []
        _local.connections, _local.is_kept = connections, False
        with self._lock:
            self._calls[threading.get_ident()] = (deadline, connections)
        try:
            yield
        finally:
            with self._lock:
                del self._calls[threading.get_ident()]

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [each for deadline, each in self._calls.values() if deadline <= now]
            for connections in late:
                for connection in list(connections):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)


def _connect(connection: Any, allowed: Networks) -> socket.socket:
    """A socket to one of the checked addresses; urllib3's default would resolve the name again."""
    error: OSError | None = None
    connection.was_used = False
    for family, kind, protocol, _, address in resolve(connection.host, connection.port, allowed):
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(connection.timeout if isinstance(connection.timeout, float | int) else None)
            _local.connections.append(made)
            made.connect(address)
        except OSError as failure:
            error = failure
            made.close()
        else:
            return made
    message = f"cannot connect: {error}"
    raise NewConnectionError(connection, message) from error


def _plain_pool(allowed: Networks) -> type[urllib3.HTTPConnectionPool]:
    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, allowed)

        def request(self, *args: Any, **kwargs: Any) -> None:
            _watch(self)
            super().request(*args, **kwargs)
            self.was_used = True

    return type("PlainPool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": Connection})


def _tls_pool(allowed: Networks) -> type[urllib3.HTTPSConnectionPool]:
    class Connection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, allowed)

        def connect(self) -> None:
            super().connect()
            _local.connections.append(self.sock)

        def request(self, *args: Any, **kwargs: Any) -> None:
            _watch(self)
            super().request(*args, **kwargs)
            self.was_used = True

    return type("TlsPool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": Connection})


def _watch(connection: Any) -> None:
    """Assign a kept-alive connection to this call. (A new one with TLS is already connected.)"""
    _local.is_kept = getattr(connection, "was_used", False) and connection.sock is not None
    if connection.sock is not None:
        _local.connections.append(connection.sock)


def _describe(error: BaseException) -> str:
    refused = next((each for each in _causes(error) if isinstance(each, AddressRefusedError)), error)
    return f"{type(refused).__name__}: {refused}"[:300]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, which urllib3 passes as an argument or as the context."""
    yield error
    yield from (each for each in error.args if isinstance(each, BaseException))
    if error.__context__ is not None:
        yield error.__context__
