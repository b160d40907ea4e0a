"""A TCP link to a real server that a test can cut, freeze and restore; the server itself is not touched."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit, urlunsplit

from common.tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_POLL_SECONDS = 0.02
_GREETING_BYTES = 1024


class Link:
    """Listens on a port of its own and passes bytes on both ways. Starts healthy."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError("a URL with a host and a port is needed")
        self._target = (parts.hostname, parts.port)
        self._frozen, self._open = threading.Event(), threading.Event()
        self._budget: int | None = None  # bytes that still go to the server; None: all of them
        self._muted = False
        self._frozen_kind = b""
        self.connections = 0
        self._sockets: set[socket.socket] = set()
        self._clients: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._port = free_port()  # while the link is cut nobody else may get it
        self.restore()
        account = f"{parts.username}:{parts.password}@" if parts.username else ""
        self.url = urlunsplit(parts._replace(netloc=f"{account}127.0.0.1:{self._port}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def restore(self) -> None:
        """Let everything through again."""
        self._budget, self._muted = None, False
        self._frozen.clear()
        if not self._open.is_set():
            self._listener = socket.create_server(("127.0.0.1", self._port), reuse_port=False)
            self._open.set()
            self._start(self._accept, self._listener)

    def freeze(self, kind: bytes = b"") -> None:
        """Connections stay, and new ones are taken; but no byte moves: as a server that is stopped.

        With `kind`, only on connections whose client has sent these bytes (AMQP's has a name in its first frames).
        """
        self._frozen_kind = kind
        self._frozen.set()

    def inject(self, data: bytes) -> None:
        """Send each client bytes that the server never sent."""
        for client in self._clients:
            with suppress(OSError):
                client.sendall(data)

    def starve(self, budget_bytes: int) -> None:
        """Pass on that many bytes to the server, and no more; what it answers arrives."""
        self._budget = budget_bytes

    def mute(self) -> None:
        """What the server answers is lost; what it is sent arrives."""
        self._muted = True

    @property
    def is_starved(self) -> bool:
        """Whether nothing goes to the server any more."""
        return self._budget == 0

    def cut(self) -> None:
        """Every connection is reset, new ones are refused: as a server that was killed."""
        self._open.clear()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        for each in self._sockets:
            # RST instead of FIN: nobody is left to say goodbye.
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            each.close()
        self._sockets, self._clients, self._threads = set(), [], []

    def translate(self, reply: bytes) -> bytes:
        """What the client gets of the server's bytes: a protocol whose replies name addresses overrides it."""
        return reply

    def _start(self, run: Callable[..., object], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(_POLL_SECONDS)
        while self._open.is_set():
            with suppress(TimeoutError):
                near, _ = listener.accept()
                self.connections += 1
                self._sockets.add(near)
                self._clients.append(near)
                with suppress(OSError):
                    far = socket.create_connection(self._target, timeout=5)
                    self._sockets.add(far)
                    greeting = bytearray()
                    self._start(self._pump, near, far, greeting, True)
                    self._start(self._pump, far, near, greeting, False)

    def _is_frozen(self, greeting: bytearray) -> bool:
        return self._frozen.is_set() and self._frozen_kind in greeting

    def _pump(self, source: socket.socket, sink: socket.socket, greeting: bytearray, to_server: bool) -> None:
        with suppress(OSError, ValueError):
            while self._open.is_set():
                if not select.select([source], [], [], _POLL_SECONDS)[0]:
                    continue
                data = source.recv(65536)
                if to_server and len(greeting) < _GREETING_BYTES:
                    greeting += data
                while self._is_frozen(greeting) and self._open.is_set():
                    time.sleep(_POLL_SECONDS)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                if to_server and self._budget is not None:
                    data = data[: self._budget]
                    self._budget -= len(data)
                if not to_server and self._muted:
                    continue
                sink.sendall(data if to_server else self.translate(data))
