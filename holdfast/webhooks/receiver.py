"""A receiver of webhooks on this machine: verifies each signature by Standard Webhooks 1.0.0, and stores nothing.

A request with an invalid signature gets a 401 and is reported; bodies are read up to `MAX_BODY_BYTES`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
MAX_BODY_BYTES = 64 * 1024
MAX_AGE_SECONDS = 300
MAX_WAITING = 10_000
READ_SECONDS = 10


class NotVerifiedError(ValueError):
    """The signature is invalid, or the timestamp is too old."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request. `problem` is empty if its signature is valid."""

    id: str
    payload: dict[str, Any]
    problem: str = ""


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> dict[str, Any]:
    """The payload of a signed webhook; header names in lower case. Raises `NotVerifiedError`."""
    webhook_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not sent_at.isdecimal() or abs(now - int(sent_at)) > MAX_AGE_SECONDS:
        raise NotVerifiedError("webhook-id or webhook-timestamp is missing, or too old")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{webhook_id}.{sent_at}.".encode() + body, hashlib.sha256)
    expected = f"v1,{base64.b64encode(digest).decode()}"
    signatures = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in signatures):
        raise NotVerifiedError("no signature matches this secret")
    payload = json.loads(body)
    if not isinstance(payload, dict):
        raise NotVerifiedError("the body is not a JSON object")
    return payload


class Receiver:
    """Received webhooks wait in `received`. Until `secret` is set, requests get a 503 and are retried by the sender."""

    def __init__(self, port: int, *, keeps: bool = True) -> None:
        self.secret, self._keeps = "", keeps
        self.received: queue.Queue[Webhook] = queue.Queue(MAX_WAITING)
        self._server = _Server((HOST, port), _Handler)
        self._server.receiver = self
        self.port = int(self._server.server_address[1])
        self.url = f"http://{HOST}:{self.port}/webhooks"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Verify a request and queue it; returns the status of the response."""
        if not self.secret:
            return 503
        try:
            webhook = Webhook(headers["webhook-id"], verify(self.secret, headers, body, now=time.time()))
        except (NotVerifiedError, KeyError, ValueError) as error:
            webhook = Webhook(headers.get("webhook-id", "")[:100], {}, str(error)[:200])
        if self._keeps or webhook.problem:
            try:
                self.received.put_nowait(webhook)
            except queue.Full:
                return 503
        return 401 if webhook.problem else 200


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, *_: Any) -> None:
        """Ignore a sender that closes the connection."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = READ_SECONDS

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self._answer(413)
        body = self.rfile.read(int(length))
        return self._answer(self.server.receiver.take({k.lower(): v for k, v in self.headers.items()}, body))

    def log_message(self, *_: Any) -> None:
        """Log nothing: the caller prints the webhooks."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def receiving(port: int = 0, *, keeps: bool = True) -> Iterator[Receiver]:
    """Receive while the block runs, on a free port if `port` is 0. Raises OSError if it is taken.

    With `keeps` False only unverified webhooks are queued.
    """
    receiver = Receiver(port, keeps=keeps)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
