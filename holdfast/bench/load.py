"""A small load generator: some connections, each sends its next request after the previous response (closed loop).

One thread drives all sockets, so that it uses little of the processors that it shares with the measured system.
Requests are HTTP/1.1 with keep-alive; their number and time are bounded.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVE_BYTES = 65536
STALL_SECONDS = 10.0


@dataclass
class Result:
    """`latencies_seconds` of all responses, counts of `statuses`; `seconds` from first byte to last."""

    seconds: float = 0.0
    latencies_seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        return len(self.latencies_seconds)

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        """The latency percentile for this share (0 to 1) of the requests, in milliseconds."""
        ordered = sorted(self.latencies_seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


class Connection:
    """One socket and the request that it waits for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=STALL_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received, self.sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def status(self) -> int | None:
        """The status when the response is complete. Raises `ConnectionError` when the server closes the connection."""
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return None
        return int(head[9:12])


def post_request(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of a POST."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(url: str, request: Callable[[], bytes], *, connections: int, seconds: float, requests: int) -> Result:
    """Send requests of `request` for `seconds`, but at most `requests`."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    selector, result = selectors.DefaultSelector(), Result()
    opened = [Connection(address) for _ in range(connections)]
    started = time.perf_counter()
    sent = 0
    for connection in opened:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request())
        sent += 1
    busy = len(opened)
    while busy:
        ready = selector.select(STALL_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer within {STALL_SECONDS:.0f} s")
        for key, _ in ready:
            connection = key.data
            if (status := connection.status()) is None:
                continue
            now = time.perf_counter()
            result.latencies_seconds.append(now - connection.sent_at)
            result.statuses[status] = result.statuses.get(status, 0) + 1
            if now - started < seconds and sent < requests:
                connection.send(request())
                sent += 1
            else:
                busy -= 1
    result.seconds = time.perf_counter() - started
    for connection in opened:
        connection.socket.close()
    selector.close()
    return result


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
