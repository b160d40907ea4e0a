"""gunicorn's threaded worker, whose threads never wait for a client.

The main loop receives each request completely before a thread serves it, and sends the part of a response that the
client does not accept at once. Slow or silent clients use a connection and some memory, both bounded: a client has
SERVICE_CLIENT_SECONDS for a request and the same for a response; if connections or memory run out, the connection that
has kept the worker waiting longest is closed. A late or malformed request gets a problem document. The rest is
gunicorn's: listening, parsing, keeping connections alive, draining on SIGTERM.
"""

from __future__ import annotations

import errno
import time
from contextlib import suppress
from functools import partial
from io import BytesIO
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from common.settings import HttpSettings, load
from common.web.buffered_connection import BufferedConnection, Phase

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from concurrent.futures import Future

MAX_HELD_BYTES = 64 * 1024 * 1024
LINGER_SECONDS = 2.0
_CHECK_SECONDS = 0.2
_NO_CONNECTION = (errno.EAGAIN, errno.ECONNABORTED)


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Everything but `handle`, `handle_request` and `handle_error` runs in the main loop's thread."""

    wsgi: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._client_seconds = load(HttpSettings).service_client_seconds
        self._room = self.worker_connections
        self.worker_connections += 1  # gunicorn stops accepting at this number: accept one more, and close one
        # Connections that no thread serves: the longest-waiting first.
        self._waiting: dict[BufferedConnection, None] = {}
        self._next_check_at = 0.0
        self._continue: dict[Phase, Callable[[BufferedConnection], None]] = {
            Phase.RECEIVING: self._receive,
            Phase.SENDING: self._send,
            Phase.LINGERING: self._drain,
        }

    def load_wsgi(self) -> None:
        from common.web import bad_requests  # noqa: PLC0415 - loads Flask, which the master does without

        self._bad_requests = bad_requests
        bad_requests.OPEN.set_function(lambda: self.nr_conns)
        super().load_wsgi()

    def accept(self, listener: socket.socket) -> None:
        try:
            stream, client = listener.accept()
        except OSError as error:
            if error.errno not in _NO_CONNECTION:
                raise
            return
        self.nr_conns += 1
        if self.nr_conns > self._room:
            self._close_longest_waiting()
        self._receive(BufferedConnection(self.cfg, stream, client, listener.getsockname()))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        # A stopping worker only waits for its last clients.
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, _CHECK_SECONDS))

    def handle(self, conn: BufferedConnection) -> Any:
        """Serve a request in a worker's thread."""
        try:
            return super().handle(conn)
        finally:
            _try_flush(conn)

    def handle_request(self, req: Any, conn: BufferedConnection) -> Any:
        """Pass a request to the app if it is complete and well-formed."""
        if conn.request.error is not None:
            raise conn.request.error
        req.body = BytesIO(req.body.read())
        return super().handle_request(req, conn)

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Respond to a request that did not reach the app."""
        client.sendall(self._bad_requests.answer(exc, client.request.start_of_head(), addr))

    def finish_request(self, conn: BufferedConnection, done: Future[Any]) -> None:
        conn.keeps_alive = not done.cancelled() and done.exception() is None and bool(done.result())
        self._send(conn)
        if self.nr_conns > self._room:  # accepted while no connection waited that could have been closed for it
            self._close_longest_waiting()

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that take too long; gunicorn's main loop calls this at least once a second."""
        now = time.monotonic()
        if now < self._next_check_at and not force:
            return
        self._next_check_at = now + _CHECK_SECONDS
        for conn in [conn for conn in self._waiting if force or conn.timeout <= now]:
            self._close(conn) if force else self._expire(conn)
        while sum(conn.held_bytes for conn in self._waiting) > MAX_HELD_BYTES:
            self._close_longest_waiting()

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self._waiting:
            if conn.is_silent:
                conn.timeout = min(conn.timeout, deadline)

    def _on_event(self, conn: BufferedConnection, _stream: socket.socket) -> None:
        if conn in self._waiting:
            self._continue[conn.phase](conn)
        else:  # a thread serves it, or it was closed since it was polled
            self._poll(conn, 0)

    def _receive(self, conn: BufferedConnection) -> None:
        was_silent = conn.is_silent
        if not conn.receive():
            self._close(conn)
        elif conn.request.is_ready:
            self._waiting.pop(conn, None)
            self.enqueue_req(conn)
        elif conn not in self._waiting or was_silent != conn.is_silent:
            self._wait(conn, Phase.RECEIVING, self._client_seconds)

    def _send(self, conn: BufferedConnection) -> None:
        try:
            is_sent = conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        if not is_sent:
            if conn not in self._waiting:
                self._wait(conn, Phase.SENDING, self._client_seconds)
        elif conn.keeps_alive:
            self._next_request(conn)
        else:
            self._linger(conn)

    def _next_request(self, conn: BufferedConnection) -> None:
        conn.next_request()
        if conn.request.is_ready:
            self._waiting.pop(conn, None)
            self.enqueue_req(conn)
        elif conn.request.is_idle:
            self._wait(conn, Phase.RECEIVING, self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER)
        else:
            self._wait(conn, Phase.RECEIVING, self._client_seconds)

    def _drain(self, conn: BufferedConnection) -> None:
        if not conn.drain():
            self._close(conn)

    def _linger(self, conn: BufferedConnection) -> None:
        # If it was closed at once with unread bytes, the kernel would send a reset, and the response might be lost.
        if conn.announce_end():
            self._wait(conn, Phase.LINGERING, LINGER_SECONDS)
        else:
            self._close(conn)

    def _expire(self, conn: BufferedConnection) -> None:
        if conn.phase is not Phase.RECEIVING or conn.is_silent:
            self._close(conn)
            return
        self.handle_error(None, conn.sock, conn.client, TimeoutError())
        _try_flush(conn)
        self._linger(conn)

    def _close_longest_waiting(self) -> None:
        """Close a connection to make room; an idle one only if all are idle."""
        conn = next((conn for conn in self._waiting if not conn.is_idle), None) or next(iter(self._waiting), None)
        if conn is not None:
            self._bad_requests.CLOSED.inc()
            self._close(conn)

    def _wait(self, conn: BufferedConnection, phase: Phase, seconds: float) -> None:
        self._waiting.pop(conn, None)
        self._waiting[conn] = None
        conn.phase, conn.timeout = phase, time.monotonic() + seconds
        self._poll(conn, EVENT_WRITE if phase is Phase.SENDING else EVENT_READ)

    def _poll(self, conn: BufferedConnection, events: int) -> None:
        """Let the poller watch for `events`, none if 0.

        The poller keeps watching while a thread serves the connection. That saves two system calls per request, after
        each of which the main loop might wait for the interpreter lock.
        """
        if conn.polled == events:
            return
        if not conn.polled:
            self.poller.register(conn.stream, events, partial(self._on_event, conn))
        elif events:
            self.poller.modify(conn.stream, events, partial(self._on_event, conn))
        else:
            self.poller.unregister(conn.stream)
        conn.polled = events

    def _close(self, conn: BufferedConnection) -> None:
        self._waiting.pop(conn, None)
        self._poll(conn, 0)
        self.nr_conns -= 1
        conn.close()


def _try_flush(conn: BufferedConnection) -> None:
    with suppress(OSError):  # the main loop sees it, and closes the connection
        conn.sock.flush()
