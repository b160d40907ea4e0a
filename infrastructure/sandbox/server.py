"""An HTTP/1.1 server in one process: a bounded number of threads, one per connection, with access to sockets.

Guarantees: one slow or hanging request delays no other; a started request gets its response before a clean shutdown
ends (bounded); `Dropped` ends a connection like a broken network. It is one process on purpose: killing, freezing or
restarting its pid affects the whole provider. It does not support TLS, chunked request bodies, or speed beyond what one
Python process gives.
"""

import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infrastructure.sandbox.exchange import Dropped, Reply, Request, json_reply
from infrastructure.sandbox.logs import log

Application = Callable[[Request], Reply]

CONNECTIONS = 256
WAIT_FOR_SLOT_SECONDS = 5.0
IDLE_SECONDS = 75.0
BODY_BYTES = 1_048_576
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with zero seconds: close() sends RST instead of FIN


class Unreadable(Exception):
    """A request whose body will not be read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server(ThreadingHTTPServer):
    """Accepts connections and counts what is being answered."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        self.application = application
        self.draining = threading.Event()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._busy = 0
        self._idle = threading.Condition()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(timeout=WAIT_FOR_SLOT_SECONDS):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def shutdown_request(self, request: Any) -> None:
        if _resets_on_close(request):
            self.close_request(request)  # a FIN first would turn the reset into a normal end of stream
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - http.server's - the base's signature
        if isinstance(sys.exception(), ConnectionError):
            log.debug("connection reset by the client")
        else:
            log.warning("connection failed", exc_info=True)

    @contextmanager
    def in_progress(self) -> Iterator[None]:
        """`drain` waits for the block. Raises `Dropped` after the shutdown began: then nothing is started."""
        with self._idle:
            if self.draining.is_set():
                raise Dropped(reset=False)
            self._busy += 1
        try:
            yield
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until no request is in progress; False after `seconds`."""
        with self._idle:
            return self._idle.wait_for(lambda: self._busy == 0, timeout=seconds)


class Handler(BaseHTTPRequestHandler):
    """One connection: requests one after the other until it is closed."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: Server

    def serve(self) -> None:
        try:
            body = self._read_body()
        except Unreadable as refusal:
            self._refuse(refusal.status, str(refusal))
            return
        request = Request(self.command, self.path, self.headers, body, self.connection)
        try:
            with self.server.in_progress():
                self._send(self.server.application(request))
        except Dropped as drop:
            self.close_connection = True
            if drop.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = serve  # noqa: N815 - http.server's names

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding"):
            raise Unreadable(411, "Send a Content-Length; chunked bodies are not accepted.")
        length = self.headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdigit()):
            raise Unreadable(400, "The Content-Length is not a number.")
        if len(length) > len(str(BODY_BYTES)) or int(length) > BODY_BYTES:
            raise Unreadable(413, f"A body may have up to {BODY_BYTES} bytes.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Unreadable(400, "The body ended early.")
        return body

    def _refuse(self, status: int, message: str) -> None:
        """Respond and close the connection without reading the rest."""
        self.close_connection = True
        self._send(json_reply(status, {"error": {"type": "invalid_request_error", "message": message}}))

    def _send(self, reply: Reply) -> None:
        if self.server.draining.is_set():
            self.close_connection = True
        lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        lines += [f"Content-Length: {len(reply.body)}", f"Date: {self.date_time_string()}", "Server: sandbox"]
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        try:
            # One write, so a client never waits for a second packet.
            self.wfile.write(head if self.command == "HEAD" else head + reply.body)
        except OSError as error:
            self.close_connection = True
            log.info("client left before the answer", error=str(error))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - http.server's
        """Respond with JSON to requests that http.server rejects (a malformed request line, an unknown method)."""
        self.command = getattr(self, "command", None) or "GET"
        self._refuse(int(code), message or _phrase(int(code)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's signature
        log.debug(format % args)


def _resets_on_close(connection: socket.socket) -> bool:
    try:
        lingers = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE))
    except OSError:
        return False
    return lingers == RESET_ON_CLOSE


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
