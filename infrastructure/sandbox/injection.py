"""Executes a fault: before the request is executed, around it, or after its commit.

Guarantee: a hang is bounded in time and number, ends when the client leaves or the sandbox stops, and holds no lock.
"""

import select
import socket
import sqlite3
import threading
import time
from collections.abc import Sequence

from infrastructure.sandbox.decisions import hold
from infrastructure.sandbox.errors import ApiError, server_error
from infrastructure.sandbox.exchange import Dropped, Reply, Request, Work
from infrastructure.sandbox.faults import Fault, Strike

HANGS = 128
POLL_SECONDS = 0.2


class Injector:
    """Uses the sockets and the clock; faults are selected elsewhere."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._hangs = threading.BoundedSemaphore(HANGS)

    def before(self, request: Request, strikes: Sequence[Strike]) -> Reply | None:
        """Faults that replace the request: another response, or none."""
        for fault, seconds in ((strike.fault, strike.seconds) for strike in strikes):
            if fault.kind == "reset":
                raise Dropped(reset=True)
            if fault.kind == "hang" and not fault.after:
                self._hang(request, seconds)
            if fault.kind == "error":
                return server_error(fault.status or 500).reply()
            if fault.kind == "rate_limit":
                return _rate_limited(seconds)
            if fault.kind == "nonsense" and not fault.after:
                return _nonsense(fault)
        return None

    def work(self, strikes: Sequence[Strike], work: Work) -> Work:
        """The executed work: the operation itself, its refusal, or an undecided result."""
        for fault in (strike.fault for strike in strikes):
            if fault.kind == "refuse":
                return _refusal(fault)
            if fault.kind == "undecided":
                return hold(work, fault.id, fault.outcome or "succeeded", fault.state or "pending")
        return work

    def delay(self, strikes: Sequence[Strike]) -> None:
        """Every latency, one after the other."""
        self._stopping.wait(sum(strike.seconds for strike in strikes if strike.fault.kind == "latency"))

    def failure(self, strikes: Sequence[Strike]) -> Reply | None:
        """The replacement of the response, after the work was done."""
        for fault in (strike.fault for strike in strikes):
            if fault.kind == "error_after":
                reply = server_error(fault.status or 500).reply()
                # Like Stripe's own stored 500s: a retry would only repeat the response.
                return reply.with_headers(Stripe_Should_Retry="false")
        return None

    def after(self, request: Request, strikes: Sequence[Strike], reply: Reply) -> Reply:
        """Faults of a response after the commit."""
        for fault, seconds in ((strike.fault, strike.seconds) for strike in strikes):
            if fault.kind == "lost_answer":
                raise Dropped(reset=False)
            if fault.kind == "hang" and fault.after:
                self._hang(request, seconds)
            if fault.kind == "nonsense" and fault.after:
                return _nonsense(fault)
        return reply

    def _hang(self, request: Request, seconds: float) -> None:
        if self._hangs.acquire(blocking=False):
            try:
                deadline = time.monotonic() + seconds
                while (left := deadline - time.monotonic()) > 0 and not _client_left(request.connection):
                    if self._stopping.wait(min(POLL_SECONDS, left)):
                        break
            finally:
                self._hangs.release()
        raise Dropped(reset=False)


def _client_left(connection: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def _refusal(fault: Fault) -> Work:
    def refuse(_tx: sqlite3.Connection) -> Reply:
        raise ApiError("This request is refused, however often it is made.", code=fault.code)

    return refuse


def _rate_limited(seconds: float) -> Reply:
    error = ApiError(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
        headers={"Retry-After": str(max(1, round(seconds))), "Stripe-Rate-Limited-Reason": "global-rate"},
    )
    return error.reply()


def _nonsense(fault: Fault) -> Reply:
    return Reply(200, NONSENSE[fault.body or "html"], {"Content-Type": "application/json"})


NONSENSE = {
    "html": b"<html><body>Welcome to the hotel's network. Please sign in.</body></html>",
    "bytes": b"\x1f\x8b\xff\xfe\x00 not even text \xc3\x28",
    "empty": b"",
    "json": b'{"message": "JSON, but not of this API"}',
}
