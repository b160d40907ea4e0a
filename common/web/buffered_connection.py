"""A buffered client connection: a worker thread never waits for the client.

`BufferedSocket` replaces the socket in gunicorn. It keeps what it cannot send at once, and the main loop sends it while
the thread serves other requests.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import TConn

from common.web.request_buffer import RequestBuffer

if TYPE_CHECKING:
    import socket

MAX_REPLY_BYTES = 16 * 1024 * 1024
_RECEIVE_BYTES = 64 * 1024
_MAX_LINGER_BYTES = 1024 * 1024
_PIECES = 16
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    """What the main loop waits for on a connection that no thread serves."""

    RECEIVING = auto()
    SENDING = auto()
    LINGERING = auto()  # the response and its end are sent: waits for the client to close


class BufferedSocket:
    """Reads from the buffered request, writes without blocking. The head of a response is sent together with its
    body.
    """

    def __init__(self, stream: socket.socket, request: RequestBuffer) -> None:
        self.request = request
        self.unsent_bytes = 0
        self._stream = stream
        self._unsent: deque[bytes | memoryview] = deque()
        self._has_begun = False

    def recv(self, size: int) -> bytes:
        return self.request.read(size)

    def sendall(self, data: bytes) -> None:
        """Send or buffer `data`. Raises OSError if the client is gone, or the response exceeds the limit."""
        if self.unsent_bytes + len(data) > MAX_REPLY_BYTES:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if data:
            self._unsent.append(data)
            self.unsent_bytes += len(data)
        if self._has_begun:
            self._send()
        self._has_begun = True

    def send(self, data: bytes) -> int:
        """Drop gunicorn's own `100 Continue`: the body has already arrived."""
        return len(data)

    def flush(self) -> bool:
        """Send the rest of a response; returns whether all of it is sent."""
        self._has_begun = False
        return self._send()

    def setblocking(self, _flag: bool) -> None:
        """The socket never blocks."""

    def fileno(self) -> int:
        return self._stream.fileno()

    def shutdown(self, _how: int) -> None:
        # gunicorn shuts a connection down only to drain it, which would block: without this it just closes it.
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    def close(self) -> None:
        self._unsent.clear()
        self._stream.close()

    def _send(self) -> bool:
        while self._unsent:
            try:
                sent = self._stream.sendmsg(list(islice(self._unsent, _PIECES)))
            except BlockingIOError:
                return False
            self._drop(sent)
        return True

    def _drop(self, sent: int) -> None:
        self.unsent_bytes -= sent
        while sent:
            first = self._unsent.popleft()
            if sent < len(first):
                self._unsent.appendleft(memoryview(first)[sent:])
            sent -= min(sent, len(first))


class BufferedConnection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """The main loop's side of a connection. `timeout` is when the loop stops waiting."""

    sock: BufferedSocket

    def __init__(self, cfg: Any, stream: socket.socket, client: Any, server: Any) -> None:
        self.stream = stream
        self.request = RequestBuffer()
        self.phase = Phase.RECEIVING
        self.polled = 0  # the events that the poller watches it for
        self.keeps_alive = False
        self._lingered_bytes = 0
        stream.setblocking(False)
        super().__init__(cfg, BufferedSocket(stream, self.request), client, server)
        self.data_ready = True

    @property
    def is_silent(self) -> bool:
        """Whether the connection is idle: the client may send a request, but has not begun."""
        return self.phase is Phase.RECEIVING and self.request.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether it is kept alive after a request, with nothing in progress."""
        return self.initialized and self.is_silent

    @property
    def held_bytes(self) -> int:
        return self.request.size + self.sock.unsent_bytes

    def receive(self) -> bool:
        """Receive available bytes. Returns whether the client is still connected."""
        try:
            data = self.stream.recv(_RECEIVE_BYTES)
            self.request.add(data)
            if self.request.take_expectation():
                self.stream.send(_CONTINUE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return bool(data)

    def next_request(self) -> None:
        """Prepare for the next request, of which the parser may have read a part."""
        self.request.start_next(self.parser.unreader.take_buffered())

    def announce_end(self) -> bool:
        """Announce the end of the response. Returns whether the client is still connected."""
        try:
            self.stream.shutdown(1)
        except OSError:
            return False
        return True

    def drain(self) -> bool:
        """Discard further bytes. Returns whether more may arrive."""
        try:
            data = self.stream.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._lingered_bytes += len(data)
        return bool(data) and self._lingered_bytes < _MAX_LINGER_BYTES
